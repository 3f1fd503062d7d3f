"""The layers of the networks, from the genotype alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.records import Architecture
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_darts_lp.spaces.cell.space import INPUTS, Edge

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.cell.space import CellSpace
    from nasplug_darts_lp.spaces.layers.space import LayersSpace


def layers_workload(
    space: LayersSpace, architecture: Architecture, input_shape: Sequence[int], outputs: int
) -> Workload:
    """The workload of a layer-wise network.

    Args:
        space: Gives the frame.
        architecture: Gives the blocks.
        input_shape: (C, H, W).
        outputs: Number of classes.
    """
    builder, frame, fixed = WorkloadBuilder(input_shape), space.layout, space.first_last_bits
    x = builder.conv(INPUT, frame.channels[0], frame.stem_kernel, frame.stem_stride, name="stem", **_bits(fixed, fixed))
    x = builder.activate(x, "prelu")
    if frame.pool:
        x = builder.pool("maxpool", x, 3, 2, padding=1)
    for place, operation, kernel, weight_bits, activation_bits in space.blocks(architecture):
        if operation == "skip":
            continue
        around = builder.pool("avgpool", x, 2, ceil=True) if place.stride == 2 else x
        if not place.keeps:
            around = builder.conv(around, place.outputs, 1, **_bits(fixed, fixed))
        bits = _bits(weight_bits, activation_bits)
        branch = builder.conv(x, place.outputs, kernel, place.stride, name=place.name, **bits)
        x = builder.activate(builder.add([around, branch]), "prelu")
    _classify(builder, x, outputs, fixed)
    return builder.build()


def cell_workload(space: CellSpace, architecture: Architecture, input_shape: Sequence[int], outputs: int) -> Workload:
    """The workload of a network of cells; arguments as for `layers_workload`."""
    from nasplug_darts_lp.spaces.cell.network import frames

    builder, fixed = WorkloadBuilder(input_shape), space.first_last_bits
    before_last = last = builder.conv(INPUT, 3 * space.channels, 3, name="stem", **_bits(fixed, fixed))
    for frame in frames(space):
        channels = frame.channels
        if frame.after_reduction:
            first = _factorized_reduce(builder, before_last, channels, fixed)
        else:
            first = builder.conv(builder.activate(before_last, "relu"), channels, 1, **_bits(fixed, fixed))
        values = [first, builder.conv(builder.activate(last, "relu"), channels, 1, **_bits(fixed, fixed))]
        for pair in space.cell(architecture.genotype, "reduction" if frame.reduction else "normal"):
            terms = []
            for edge in pair:
                stride = 2 if frame.reduction and edge.source < INPUTS else 1
                terms.append(_edge(builder, edge, values[edge.source], channels, stride, fixed))
            values.append(builder.add(terms))
        before_last, last = last, _concat(builder, values[INPUTS:])
    _classify(builder, last, outputs, fixed)
    return builder.build()


def _edge(builder: WorkloadBuilder, edge: Edge, x: int, channels: int, stride: int, fixed: int | None) -> int:
    name = edge.operation
    if name == "skip_connect":
        return x if stride == 1 else _factorized_reduce(builder, x, channels, fixed)
    if name.endswith("pool_3x3"):
        return builder.normalise(builder.pool(f"{name[:3]}pool", x, 3, stride, padding=1))
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    bits = _bits(edge.weight_bits, edge.activation_bits)
    for step in [stride] if dilation == 2 else [stride, 1]:
        x = builder.activate(x, "relu")
        x = builder.conv(x, channels, kernel, step, dilation=dilation, groups=channels, bias=False, **bits)
        x = builder.conv(x, channels, 1, **bits)
    return x


def _factorized_reduce(builder: WorkloadBuilder, x: int, channels: int, fixed: int | None) -> int:
    x = builder.activate(x, "relu")
    half, bits = channels // 2, _bits(fixed, fixed)
    parts = [builder.conv(x, channels - half, 1, 2, bias=False, **bits)]
    if half:
        _, _, height, width = builder.shape(x)
        # The image is moved by a pixel: of even sizes one row and column less is read, odd ones are filled up first.
        moved: dict[str, Any] = {"hi": height + height % 2 - 1, "wi": width + width % 2 - 1}
        sizes: dict[str, Any] = {"ho": -(-moved["hi"] // 2), "wo": -(-moved["wi"] // 2)}
        parts.append(builder.conv(x, half, 1, 2, bias=False, **bits, **moved, **sizes))
    return builder.normalise(_concat(builder, parts))


def _concat(builder: WorkloadBuilder, sources: Sequence[int]) -> int:
    return builder.row("concat", sources, co=sum(builder.shape(source)[1] for source in sources))


def _classify(builder: WorkloadBuilder, x: int, outputs: int, fixed: int | None) -> None:
    pooled = builder.global_pool(x)
    builder.row("fc", [pooled], "classifier", co=outputs, bias=True, **_bits(fixed, fixed))


def _bits(weight_bits: int | None, activation_bits: int | None) -> dict[str, Any]:
    """Columns of a convolution with bits of its own."""
    if weight_bits is None or activation_bits is None:
        return {}
    return {"weight_bits": weight_bits, "input_bits": activation_bits}
