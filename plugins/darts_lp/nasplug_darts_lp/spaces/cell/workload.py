"""The layers of a network of cells, from settings and genotype alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasplug.contract.records import Genotype
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_darts_lp.spaces.cell.edges import INPUTS, Edge
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.spaces.rows import bits, classify


def cell_workload(settings: CellSettings, genotype: Genotype, input_shape: Sequence[int], outputs: int) -> Workload:
    """Lists the layers of a network.

    Args:
        settings: Settings of the space.
        genotype: Genotype of the architecture.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
    """
    builder, fixed = WorkloadBuilder(input_shape), settings.fixed_bits
    before_last = last = builder.conv(INPUT, 3 * settings.channels, 3, name="stem", **bits(fixed, fixed))
    for frame in settings.frames():
        channels = frame.channels
        if frame.after_reduction:
            first = _factorized_reduce(builder, before_last, channels, fixed)
        else:
            first = builder.conv(builder.activate(before_last, "relu"), channels, 1, **bits(fixed, fixed))
        values = [first, builder.conv(builder.activate(last, "relu"), channels, 1, **bits(fixed, fixed))]
        for pair in settings.cell(genotype, frame.cell):
            terms = []
            for edge in pair:
                stride = 2 if frame.reduction and edge.source < INPUTS else 1
                terms.append(_edge(builder, edge, values[edge.source], channels, stride, fixed))
            values.append(builder.add(terms))
        before_last, last = last, _concat(builder, values[INPUTS:])
    classify(builder, last, outputs, fixed)
    return builder.build()


def _edge(builder: WorkloadBuilder, edge: Edge, x: int, channels: int, stride: int, fixed: int | None) -> int:
    name = edge.operation
    if name == "skip_connect":
        return x if stride == 1 else _factorized_reduce(builder, x, channels, fixed)
    if name.endswith("pool_3x3"):
        return builder.normalise(builder.pool(f"{name[:3]}pool", x, 3, stride, padding=1))
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    own = bits(edge.weight_bits, edge.activation_bits)
    for step in [stride] if dilation == 2 else [stride, 1]:
        x = builder.activate(x, "relu")
        x = builder.conv(x, channels, kernel, step, dilation=dilation, groups=channels, bias=False, **own)
        x = builder.conv(x, channels, 1, **own)
    return x


def _factorized_reduce(builder: WorkloadBuilder, x: int, channels: int, fixed: int | None) -> int:
    x = builder.activate(x, "relu")
    half, own = channels // 2, bits(fixed, fixed)
    parts = [builder.conv(x, channels - half, 1, 2, bias=False, **own)]
    if half:
        _, _, height, width = builder.shape(x)
        # The image is moved by a pixel: of even sizes one row and column less is read, odd ones are filled up first.
        moved: dict[str, Any] = {"hi": height + height % 2 - 1, "wi": width + width % 2 - 1}
        sizes: dict[str, Any] = {"ho": -(-moved["hi"] // 2), "wo": -(-moved["wi"] // 2)}
        parts.append(builder.conv(x, half, 1, 2, bias=False, **own, **moved, **sizes))
    return builder.normalise(_concat(builder, parts))


def _concat(builder: WorkloadBuilder, sources: Sequence[int]) -> int:
    return builder.row("concat", sources, co=sum(builder.shape(source)[1] for source in sources))
