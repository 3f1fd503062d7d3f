"""The layers of `nasplug.spaces.unet.network.UNet` from its levels. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from nasplug.spaces.unet.levels import EXPANSION, Level
from nasplug.workloads.maps import Map, MapBuilder, to_multiple
from nasplug.workloads.workload import Workload


def unet_workload(levels: Sequence[Level], input_shape: Sequence[int], classes: int, norm: str, up: str) -> Workload:
    """Returns the workload of a U-Net in inference.

    Args:
        levels: Levels, the finest first.
        input_shape: Shape (C, *size) of a patch, which is padded to what the strides divide.
        classes: Number of classes.
        norm: Kind of normalisation: `instance`, `batch` or `group`.
        up: `transposed` convolutions or `resize`.
    """
    made = MapBuilder(input_shape)
    parts = _Parts(made, norm)
    factors = [math.prod(level.stride[axis] for level in levels[:-1]) for axis in range(len(input_shape) - 1)]
    x = made.padded(made.input, to_multiple(input_shape[1:], factors))
    skips: list[Map] = []
    for depth, level in enumerate(levels):
        if depth == 0:
            x = parts.unit(x, level.width, level.kernel)
        else:
            x = parts.unit(x, level.width, (3,) * len(factors), levels[depth - 1].stride)
        for _ in range(level.repeats):
            x = parts.block(x, level.encoder, level.width, level.kernel)
        skips.append(x)
    for depth, (level, _) in reversed(list(enumerate(itertools.pairwise(levels)))):
        skip, stride = skips[depth], level.stride
        if up == "transposed":
            x = made.transposed(x, level.width, stride, stride)
        else:
            x = made.conv(made.resize(x, stride), level.width, parts.point)
        if level.skip == "gate":
            skip = parts.gate(skip, x)
        x = made.add(x, skip) if level.skip == "add" else made.concat([x, skip])
        x = parts.block(x, level.decoder, level.width, level.kernel)
    made.conv(x, classes, parts.point, bias=True)
    return made.build()


class _Parts:
    """Blocks with one kind of normalisation, as `nasplug.spaces.unet.blocks` computes them."""

    def __init__(self, made: MapBuilder, norm: str) -> None:
        self._made, self._kind = made, norm
        self.point = (1,) * len(made.input.size)

    def norm(self, x: Map) -> Map:
        return self._made.batch_norm(x) if self._kind == "batch" else self._made.norm(x)

    def active(self, x: Map) -> Map:
        return self._made.activate(x, "leaky_relu")

    def unit(self, x: Map, width: int, kernel: Sequence[int], stride: Sequence[int] = (1,)) -> Map:
        return self.active(self.norm(self._made.conv(x, width, kernel, stride)))

    def block(self, x: Map, kind: str, width: int, kernel: Sequence[int]) -> Map:
        made = self._made
        if kind == "conv":
            return self.unit(x, width, kernel)
        if kind == "residual":
            branch = self.norm(made.conv(self.unit(x, width, kernel), width, kernel))
            shortcut = x if x.channels == width else made.conv(x, width, self.point)
            return self.active(made.add(branch, shortcut))
        if kind == "inverted":
            inside = EXPANSION * x.channels
            branch = self.unit(x, inside, self.point)
            branch = self.active(self.norm(made.conv(branch, inside, kernel, groups=inside)))
            branch = self.norm(made.conv(branch, width, self.point))
            return made.add(branch, x) if x.channels == width else branch
        return self.unit(made.conv(x, x.channels, kernel, groups=x.channels), width, self.point)

    def gate(self, skip: Map, below: Map) -> Map:
        made, inside = self._made, max(1, skip.channels // 2)
        first = made.conv(skip, inside, self.point)
        both = self.active(made.add(first, made.conv(below, inside, self.point)))
        return made.mul(skip, made.activate(made.conv(both, 1, self.point, bias=True), "sigmoid"))
