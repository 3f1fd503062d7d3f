"""Puts workloads of networks on slices and volumes together: a `WorkloadBuilder` that knows the size of every map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nasplug.workloads import convolutions
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.convolutions import READ, WRITTEN
from nasplug.workloads.workload import Workload


@dataclass(frozen=True, slots=True)
class Map:
    """A feature map.

    Attributes:
        row: Row that writes it.
        channels: Number of channels.
        size: Size along each of two or three axes, with padding that was put on since.
    """

    row: int
    channels: int
    size: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a batch of one."""
        return (1, self.channels, *self.size)


class MapBuilder:
    """Collects rows in the order in which a network computes; every method returns the map of what it adds.

    Args:
        input_shape: Shape (C, *size) of a slice or a volume.
    """

    def __init__(self, input_shape: Sequence[int]) -> None:
        channels, *size = input_shape
        self._builder = WorkloadBuilder(input_shape)
        self.input = Map(INPUT, channels, tuple(size))

    def padded(self, x: Map, more: Sequence[int]) -> Map:
        """The map with `more` voxels along each axis, which costs nothing."""
        return Map(x.row, x.channels, tuple(side + extra for side, extra in zip(x.size, more, strict=True)))

    def conv(
        self,
        x: Map,
        channels: int,
        kernel: Sequence[int],
        stride: Sequence[int] = (1,),
        *,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Map:
        """A convolution; without `padding`, odd kernels keep the size at stride 1."""
        strides = list(stride) * (len(x.size) if len(stride) == 1 else 1)
        pads = [side // 2 if padding is None else padding for side in kernel]
        size = tuple(
            (full + 2 * pad - side) // step + 1
            for full, pad, side, step in zip(x.size, pads, kernel, strides, strict=True)
        )
        columns = convolutions.forward(
            x.shape,
            (channels, x.channels // groups, *kernel),
            (1, channels, *size),
            stride=strides,
            padding=pads,
            groups=groups,
        )
        return Map(self._builder.row("conv", [x.row], "", **columns, bias=bias), channels, size)

    def transposed(self, x: Map, channels: int, kernel: Sequence[int], stride: Sequence[int]) -> Map:
        """A transposed convolution that multiplies the size by the stride."""
        size = tuple(side * step for side, step in zip(x.size, stride, strict=True))
        weight = (x.channels, channels, *kernel)
        columns, spread = convolutions.transposed(x.shape, weight, (1, channels, *size))
        row = self._builder.row("conv", [x.row], "", **columns)
        if spread is not None:
            row = self._builder.row("add", [row], "", **spread)
        return Map(row, channels, size)

    def averaged(self, x: Map, kernel: Sequence[int]) -> Map:
        """The mean of overlapping windows, without padding."""
        size = tuple(full - side + 1 for full, side in zip(x.size, kernel, strict=True))
        columns = convolutions.pool(x.shape, kernel, (1, x.channels, *size))
        return Map(self._builder.row("avgpool", [x.row], "", **columns), x.channels, size)

    def batch_norm(self, x: Map) -> Map:
        """Batch normalisation in inference."""
        return Map(self._builder.normalise(x.row), x.channels, x.size)

    def norm(self, x: Map) -> Map:
        """A normalisation by statistics of the map itself, such as that of instances or groups."""
        return Map(self._builder.row("norm", [x.row], "", **self._same(x)), x.channels, x.size)

    def activate(self, x: Map, function: str) -> Map:
        """An activation function."""
        return Map(self._builder.activate(x.row, function), x.channels, x.size)

    def add(self, x: Map, other: Map) -> Map:
        """The sum of two maps of one size."""
        return Map(self._builder.row("add", [x.row, other.row], "", **self._same(x)), x.channels, x.size)

    def mul(self, x: Map, other: Map) -> Map:
        """A map weighted by another one, which may have one channel."""
        return Map(self._builder.row("mul", [x.row, other.row], "", **self._same(x)), x.channels, x.size)

    def concat(self, maps: Sequence[Map]) -> Map:
        """Channels of several maps one after the other."""
        first, channels = maps[0], sum(each.channels for each in maps)
        shapes = convolutions.maps(first.shape, READ) | convolutions.maps((1, channels, *first.size), WRITTEN)
        return Map(self._builder.row("concat", [each.row for each in maps], "", **shapes), channels, first.size)

    def resize(self, x: Map, factors: Sequence[int]) -> Map:
        """Interpolation to a size that is a multiple."""
        size = tuple(side * factor for side, factor in zip(x.size, factors, strict=True))
        shapes = convolutions.maps(x.shape, READ) | convolutions.maps((1, x.channels, *size), WRITTEN)
        return Map(self._builder.row("resize", [x.row], "", **shapes), x.channels, size)

    def build(self) -> Workload:
        """The workload."""
        return self._builder.build()

    def _same(self, x: Map) -> dict[str, int]:
        return convolutions.maps(x.shape, READ) | convolutions.maps(x.shape, WRITTEN)


def to_multiple(size: Sequence[int], factors: Sequence[int]) -> list[int]:
    """Returns the voxels that are missing along each axis to a multiple of a factor.

    Args:
        size: Size along each axis.
        factors: Factor of each axis.
    """
    return [math.ceil(side / factor) * factor - side for side, factor in zip(size, factors, strict=True)]
