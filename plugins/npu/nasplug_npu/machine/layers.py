"""Layers of whole numbers: what the machine is asked to compute, and what integers say it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.codes import Line, Steps
from nasplug_npu.machine.layout import Ints


@dataclass(frozen=True)
class Coded:
    """How sums become what is stored.

    Attributes:
        rule: Levels of sums.
        bits: Width of what is stored: 2, 4 or 8.
        signed: Whether it is two's complement.
        zero: Code that stands for 0; what is stored is the code minus it.
        double: Whether a level counts for two codes, as with a signed bit.
    """

    rule: Line | Steps
    bits: int
    signed: bool
    zero: int = 0
    double: bool = False

    def __call__(self, sums: Ints) -> Ints:
        """What is stored for sums (C, ...)."""
        return (self.rule.levels(sums) << int(self.double)) - self.zero


@dataclass(frozen=True)
class Layer:
    """A convolution, a linear layer (a kernel as large as its input), a max pool, or a sum of two maps.

    Sums of windows, as of average pools, and codes that are coded again are depthwise convolutions with weights of one.
    A sum of two maps is one with a kernel of two taps that read the same position of one map and of the other.

    Attributes:
        name: Name of the layer.
        kernel: Height and width of the kernel.
        weights: Weights (O, C / groups, Kh, Kw); None for a max pool.
        weight_bits: Width of a weight, 2, 4 or 8.
        stride: Positions between two windows.
        padding: Rows above, columns left, rows below, columns right.
        dilation: Positions between two taps.
        groups: Groups of channels.
        coded: Coding of the sums; None stores them as they are, and keeps the codes of a pool.
        two: Whether it adds two maps; see `addition`.
    """

    name: str
    kernel: tuple[int, int]
    weights: Ints | None = None
    weight_bits: int = 8
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: int = 1
    groups: int = 1
    coded: Coded | None = None
    two: bool = False

    def out_channels(self, channels: int) -> int:
        """Number of output channels."""
        return channels if self.weights is None else len(self.weights)

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output.

        Raises:
            SpecError: The kernel is larger than its padded input.
        """
        top, left, bottom, right = self.padding
        found = [
            (size + pad - (self.dilation * (kernel - 1) + 1)) // self.stride + 1
            for size, pad, kernel in zip((height, width), (top + bottom, left + right), self.kernel, strict=True)
        ]
        if min(found) < 1:
            raise SpecError(
                f"{self.name}: the kernel is larger than its input", where="npu machine", fix="more padding"
            )
        return found[0], found[1]

    def windows(self, inputs: Ints, fill: int) -> Ints:
        """Every tap of every position, (C, Kh, Kw, Ho, Wo).

        Args:
            inputs: Map (C, H, W).
            fill: Value of padding.
        """
        top, left, bottom, right = self.padding
        padded = np.pad(inputs, ((0, 0), (top, bottom), (left, right)), constant_values=fill)
        ho, wo = self.out_size(*inputs.shape[1:])
        (kh, kw), s, d = self.kernel, self.stride, self.dilation
        taps = [
            padded[:, y * d : y * d + (ho - 1) * s + 1 : s, x * d : x * d + (wo - 1) * s + 1 : s]
            for y in range(kh)
            for x in range(kw)
        ]
        return np.stack(taps, axis=1).reshape(len(inputs), kh, kw, ho, wo)

    def sums(self, inputs: Ints, second: Ints | None = None) -> Ints:
        """Sums of products (O, Ho, Wo), or the largest of each window.

        Args:
            inputs: Map (C, H, W).
            second: The other map of a sum of two.
        """
        if second is not None:
            assert self.weights is not None
            return np.asarray(self.weights[:, 0, 0, :, None] * inputs + self.weights[:, 0, 1, :, None] * second)
        if self.weights is None:
            return np.asarray(self.windows(inputs, -(1 << 20)).max(axis=(1, 2)))
        windows = self.windows(inputs, 0)
        each, out = len(inputs) // self.groups, len(self.weights) // self.groups
        parts = []
        for group in range(self.groups):
            mine = self.weights[group * out : (group + 1) * out].reshape(out, -1)
            seen = windows[group * each : (group + 1) * each]
            parts.append(mine @ seen.reshape(mine.shape[1], -1))
        return np.concatenate(parts).reshape(len(self.weights), *windows.shape[3:])

    def __call__(self, inputs: Ints, second: Ints | None = None) -> Ints:
        """What is stored, (O, Ho, Wo).

        Args:
            inputs: Map (C, H, W).
            second: The other map of a sum of two.
        """
        sums = self.sums(inputs, second)
        return sums if self.coded is None else self.coded(sums)


def addition(name: str, channels: int, factors: tuple[int, int], coded: Coded) -> Layer:
    """A sum of two maps, each times a factor, coded.

    Args:
        name: Name of the layer.
        channels: Channels of both maps.
        factors: Factors of the two, weights of 8 bits.
        coded: Coding of the sums.
    """
    weights = np.tile(np.array(factors, dtype=np.int64).reshape(1, 1, 2, 1), (channels, 1, 1, 1))
    return Layer(name, (2, 1), weights, dilation=0, groups=channels, coded=coded, two=True)


def window_sums(name: str, channels: int, kernel: tuple[int, int] = (1, 1), **settings: Any) -> Layer:
    """Sums over windows, channel by channel: an average pool before its division, or, with one place, the codes.

    Args:
        name: Name of the layer.
        channels: Channels of the map.
        kernel: Height and width of the windows.
        **settings: Stride, padding and coding as of `Layer`.
    """
    return Layer(name, kernel, np.ones((channels, 1, *kernel), dtype=np.int64), groups=channels, **settings)
