"""Devices by two peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import nasplug as nas
from nasplug.contract.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from nasplug.cost.candidate import Candidate


@dataclass(frozen=True)
class Peaks:
    """What a device can do at best.

    Attributes:
        macs: Multiply-accumulates per second.
        bytes: Bytes of weights and feature maps that it moves per second.
    """

    macs: float
    bytes: float


#: Devices by name. Replace these numbers with those of yours.
DEVICES = {"small": Peaks(macs=1e9, bytes=1e9), "large": Peaks(macs=1e11, bytes=2e10)}


@dataclass(frozen=True)
class Device:
    """A device under its full name.

    Layers run one after the other, and each takes as long as the slower of its arithmetic and its traffic. Source:
    Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52, 2009.
    """

    name: str
    peaks: Peaks

    @property
    def capabilities(self) -> dict[str, object]:
        """Plain data about the device; `measured` says whether two answers may differ."""
        return {"measured": False, "macs_per_second": self.peaks.macs, "bytes_per_second": self.peaks.bytes}

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """Seconds for one input."""
        work = candidate.workload  # the layers as arrays, one number for each
        bits = work.weights * work.weight_bits + work.inputs * work.input_bits + work.outputs * work.output_bits
        seconds = np.maximum(work.macs / self.peaks.macs, bits / 8 / self.peaks.bytes)
        return {"latency_s": float(seconds.sum())}


class Template:
    """Finds devices of the family `template`, such as `template:small`."""

    @nas.hookimpl
    def hardware_target(self, name: str) -> Device | None:
        """Returns the device of a name, or None for names of others.

        Raises:
            UnknownNameError: The family has no such device.
        """
        family, _, device = name.partition(":")
        if family != "template":
            return None
        if device not in DEVICES:
            raise UnknownNameError(f"unknown device {device!r}", where="template", fix=did_you_mean(device, DEVICES))
        return Device(name, DEVICES[device])
