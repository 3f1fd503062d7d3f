"""Scales of intensities: one rule per channel, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.data.volumes.facts import Channel
from nasplug.data.volumes.settings import Preparation

_IMAGES = ("grey", "red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Scale:
    """What happens to the intensities of one channel.

    Attributes:
        kind: `ct` (fixed numbers), `zscore` and `minmax` (numbers of each image), or `none`.
        low: Lowest intensity of `ct`, others are raised to it.
        high: Highest intensity of `ct`.
        mean: Number that `ct` subtracts.
        std: Number that `ct` divides by.
    """

    kind: Literal["ct", "zscore", "minmax", "none"]
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.0
    std: float = 1.0

    def apply(self, channel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scales one channel (X, Y, Z); a constant one becomes 0."""
        if self.kind == "none":
            return channel
        if self.kind == "ct":
            low, high, shift, size = self.low, self.high, self.mean, self.std
        elif self.kind == "zscore":
            low, high = -np.inf, np.inf
            shift, size = float(channel.mean(dtype=np.float64)), float(channel.std(dtype=np.float64))
        else:
            low, high = (float(value) for value in np.percentile(channel, (0.5, 99.5)))
            shift, size = low, high - low
        return np.asarray((channel.clip(low, high) - shift) / max(size, 1e-8), np.float32)


def scales(channels: Sequence[Channel], preparation: Preparation) -> list[Scale]:
    """Returns the scale of each channel.

    Args:
        channels: Intensities of the channels in the foreground.
        preparation: Settings.

    Raises:
        DataError: The window leaves nothing of what the foreground holds.
    """
    found = [_scale(channel, preparation) for channel in channels]
    for scale, channel in zip(found, channels, strict=True):
        beside = channel.high <= scale.low or channel.low >= scale.high
        if preparation.window is not None and scale.kind == "ct" and beside:
            raise DataError(
                f"the window {preparation.window} leaves one value of the channel {channel.name!r}",
                where="preparation",
                why=f"99 % of the foreground lie from {channel.low:g} to {channel.high:g}",
                fix="give a window that overlaps them",
            )
    return found


def _scale(channel: Channel, preparation: Preparation) -> Scale:
    kind = preparation.intensity
    if kind == "auto":
        name = channel.name.lower()
        kind = "ct" if name == "ct" else "minmax" if name in _IMAGES else "zscore"
    if kind != "ct":
        return Scale(kind)
    if preparation.window is None:
        return Scale("ct", channel.low, channel.high, channel.mean, channel.std)
    low, high = preparation.window
    return Scale("ct", low, high, min(max(channel.mean, low), high), channel.std)
