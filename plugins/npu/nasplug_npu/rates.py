"""Processors that are described by how fast they do what, not by what they are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.workloads.workload import OPERATIONS
from nasplug_npu.model.rows import Array, Rows


@dataclass(frozen=True, kw_only=True)
class RateConfig:
    """A processor by its rates, usually fitted to published measurements.

    Clocks of a layer: cycles_per_mac per product (those of 1x1 kernels and of fully connected layers may have their
    own), cycles_per_output per element written, cycles_per_pool_tap per element that a pooling window reads.

    Attributes:
        name: Name of the configuration.
        source: Source of the numbers.
        freq_hz: Clock.
        cycles_per_mac: Cycles per MAC of convolutions, and of everything without a rate of its own.
        cycles_per_pointwise_mac: Cycles per MAC of 1x1 convolutions; None means `cycles_per_mac`.
        cycles_per_fc_mac: Cycles per MAC of fully connected layers and matrix products; None means `cycles_per_mac`.
        cycles_per_output: Cycles per output of every layer that is not a pool, a concatenation or a folded function.
        cycles_per_pool_tap: Cycles per tap of pools.
        network_cycles: Once per network.
        pj_per_cycle, pj_per_mac, pj_per_pointwise_mac, pj_per_pool_tap, network_pj: Energy, likewise.
        align_channels: See `nasplug_npu.NPUConfig`.

    Raises:
        SpecError: A negative rate, or a clock that is not positive.
    """

    name: str = "custom"
    source: str = ""
    freq_hz: float = 400e6
    cycles_per_mac: float = 1.0
    cycles_per_pointwise_mac: float | None = None
    cycles_per_fc_mac: float | None = None
    cycles_per_output: float = 0.0
    cycles_per_pool_tap: float = 0.0
    network_cycles: float = 0.0
    pj_per_cycle: float = 0.0
    pj_per_mac: float = 0.0
    pj_per_pointwise_mac: float | None = None
    pj_per_pool_tap: float = 0.0
    network_pj: float = 0.0
    align_channels: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("name", "source") or value is None:
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = -1.0
            if number < 0 or (field.name in ("freq_hz", "align_channels") and number == 0):
                raise SpecError(
                    f"{field.name} is {value!r}", where=f"npu {self.name!r}", fix="give a number above zero"
                )
            object.__setattr__(self, field.name, int(number) if field.type == "int" else number)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Operations without a rate, which cost no time."""
        rates = {
            **dict.fromkeys(OPERATIONS, self.cycles_per_output),
            **dict.fromkeys(("maxpool", "avgpool"), self.cycles_per_pool_tap),
            "conv": self.cycles_per_mac,
            **dict.fromkeys(("fc", "matmul"), _or(self.cycles_per_fc_mac, self.cycles_per_mac)),
            "concat": 1.0,  # written in place
        }
        return tuple(name for name, rate in rates.items() if not rate)

    def replace(self, **changes: Any) -> Self:
        """A changed copy.

        Raises:
            SpecError: An unknown field or an impossible value.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise SpecError(
                    f"there is no field {name!r}", where=f"npu {self.name!r}", fix=did_you_mean(name, known)
                )
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            SpecError: An unknown field or an impossible value.
        """
        return cls().replace(**data)

    def cost(self, rows: Rows) -> tuple[Array, Array]:
        """Clocks and picojoules turned into joules of every layer, (L, 1) each; nothing of what a network has once."""
        pointwise = rows.mac & (rows.taps == 1) & rows.kind("conv")
        dense = rows.kind("fc", "matmul")
        pool = rows.kind("maxpool", "avgpool")
        taps = np.where(pool, rows.outputs * rows.taps, 0.0)
        own = np.where(pool | rows.kind("concat"), 0.0, rows.outputs)
        per_mac = np.where(dense, _or(self.cycles_per_fc_mac, self.cycles_per_mac), self.cycles_per_mac)
        per_mac = np.where(pointwise, _or(self.cycles_per_pointwise_mac, self.cycles_per_mac), per_mac)
        cycles = rows.macs * per_mac + own * self.cycles_per_output + taps * self.cycles_per_pool_tap
        energy = np.where(pointwise, _or(self.pj_per_pointwise_mac, self.pj_per_mac), self.pj_per_mac) * rows.macs
        energy = energy + taps * self.pj_per_pool_tap + cycles * self.pj_per_cycle
        return cycles, energy * 1e-12


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
