"""The layers of a network of cells, from settings and genotype alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.records import Genotype
from nasplug.spaces.cells import INPUTS
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.darts import concat, factorized_reduce
from nasplug.workloads.workload import Workload
from nasplug_darts_lp.spaces.cell.edges import Edge
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
            first = factorized_reduce(builder, before_last, channels, **bits(fixed, fixed))
        else:
            first = builder.conv(builder.activate(before_last, "relu"), channels, 1, **bits(fixed, fixed))
        values = [first, builder.conv(builder.activate(last, "relu"), channels, 1, **bits(fixed, fixed))]
        for pair in settings.cell(genotype, frame.cell):
            terms = []
            for edge in pair:
                stride = 2 if frame.reduction and edge.source < INPUTS else 1
                terms.append(_edge(builder, edge, values[edge.source], channels, stride, fixed))
            values.append(builder.add(terms))
        before_last, last = last, concat(builder, values[INPUTS:])
    classify(builder, last, outputs, fixed)
    return builder.build()


def _edge(builder: WorkloadBuilder, edge: Edge, x: int, channels: int, stride: int, fixed: int | None) -> int:
    name = edge.operation
    if name == "skip_connect":
        return x if stride == 1 else factorized_reduce(builder, x, channels, **bits(fixed, fixed))
    if name.endswith("pool_3x3"):
        return builder.normalise(builder.pool(f"{name[:3]}pool", x, 3, stride, padding=1))
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    own = bits(edge.weight_bits, edge.activation_bits)
    for step in [stride] if dilation == 2 else [stride, 1]:
        x = builder.activate(x, "relu")
        x = builder.conv(x, channels, kernel, step, dilation=dilation, groups=channels, bias=False, **own)
        x = builder.conv(x, channels, 1, **own)
    return x
