"""The layers of `nasplug_qnas.segmentation.network.SegNetwork`, from those of its chain. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.workloads.maps import Map, MapBuilder, to_multiple
from nasplug.workloads.workload import Workload
from nasplug_qnas.segmentation.topology import Layer


def segmentation_workload(
    layers: Sequence[Layer], input_shape: Sequence[int], classes: int, stem: int, published_output: bool = False
) -> Workload:
    """Returns the workload of a chain of cells.

    Args:
        layers: Layers that are built.
        input_shape: Shape (C, *size) of a slice or volume, which is padded to what the reductions divide.
        classes: Number of classes.
        stem: Channels of the stem.
        published_output: Whether the last convolution has a kernel as large as the number of classes.
    """
    made = MapBuilder(input_shape)
    parts = _Parts(made)
    factor = 2 ** max((layer.level for layer in layers), default=0)
    x = made.padded(made.input, to_multiple(input_shape[1:], [factor] * parts.dimensions))
    start = parts.unit(x, stem, 3)
    outputs: list[Map] = []
    for layer in layers:
        x = start if layer.source < 0 else outputs[layer.source]
        if layer.skip is not None:
            skip = start if layer.skip < 0 else outputs[layer.skip]
            x = parts.unit(made.concat([x, skip]), layer.width, 1)
        x = parts.block(x, layer.gene.block, layer.width, layer.gene.kernel)
        if layer.gene.cell == "d":
            x = parts.relu(made.batch_norm(made.conv(x, layer.width, parts.cube(3), (2,))))
        elif layer.gene.cell == "u":
            x = parts.relu(made.batch_norm(made.transposed(x, layer.width, parts.cube(3), parts.cube(2))))
        outputs.append(x)
    x = outputs[-1] if outputs else start
    kernel = classes if published_output else 1
    if kernel % 2 == 0:  # what an even window lacks is padded at the far edges
        x = made.padded(x, [1] * parts.dimensions)
    parts.classifier(x, classes, kernel)
    return made.build()


class _Parts:
    """Blocks as `nasplug_qnas.segmentation.network` computes them."""

    def __init__(self, made: MapBuilder) -> None:
        self._made, self.dimensions = made, len(made.input.size)

    def cube(self, side: int) -> list[int]:
        return [side] * self.dimensions

    def relu(self, x: Map) -> Map:
        return self._made.activate(x, "relu")

    def unit(self, x: Map, width: int, kernel: int) -> Map:
        return self.relu(self._made.batch_norm(self._made.conv(x, width, self.cube(kernel))))

    def classifier(self, x: Map, classes: int, kernel: int) -> Map:
        return self._made.conv(x, classes, self.cube(kernel), padding=(kernel - 1) // 2, bias=True)

    def block(self, x: Map, kind: str, width: int, kernel: int) -> Map:
        made = self._made
        if kind == "vgg":
            return self.unit(self.unit(x, width, kernel), width, kernel)
        if kind == "res":
            branch = made.batch_norm(made.conv(self.unit(x, width, kernel), width, self.cube(kernel)))
            shortcut = x if x.channels == width else made.conv(x, width, self.cube(1))
            return self.relu(made.add(branch, shortcut))
        if kind == "den":
            both = made.concat([x, self._bottleneck(x, width, kernel)])
            return made.concat([both, self._bottleneck(both, width, kernel)])
        return self._inception(x, width, kernel) if kind == "inc" else x

    def _bottleneck(self, x: Map, width: int, kernel: int) -> Map:
        made = self._made
        inside = made.conv(self.relu(made.batch_norm(x)), width, self.cube(1))
        return made.conv(self.relu(made.batch_norm(inside)), width, self.cube(kernel))

    def _inception(self, x: Map, width: int, kernel: int) -> Map:
        made, rest = self._made, self.dimensions - 1
        pool = made.averaged(made.padded(x, self.cube(1)), self.cube(2))
        wide = made.conv(made.conv(x, width, self.cube(1)), width, self.cube(kernel))
        branches = [
            made.conv(x, width, self.cube(1)),
            made.conv(pool, width, self.cube(1)),
            made.conv(wide, width, [1, *[kernel] * rest]),
            made.conv(wide, width, [kernel, *[1] * rest]),
        ]
        return self.relu(made.batch_norm(made.concat(branches)))
