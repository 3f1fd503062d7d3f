"""The layers of NAS-Bench-101's network, from the cell alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_tables.spaces.nasbench101.cells import Cell, vertex_channels

_KERNELS = (3, 1)  # of the operations that are convolutions


def network_workload(
    cell: Cell, input_shape: Sequence[int], outputs: int, *, channels: int = 128, stacks: int = 3, cells: int = 3
) -> Workload:
    """The workload of a cell's network.

    Args:
        cell: A pruned cell.
        input_shape: (channels, height, width) of the images.
        outputs: Number of classes.
        channels: Channels of the first stack.
        stacks: Number of stacks.
        cells: Cells per stack.
    """
    builder = WorkloadBuilder(input_shape)
    x, width = builder.conv(INPUT, channels, 3, post="relu", name="stem"), channels
    for stack in range(stacks):
        if stack:
            x = builder.pool("maxpool", x, 2, ceil=True)
        for _ in range(cells):
            x = _cell(builder, cell, x, width, channels << stack)
            width = channels << stack
    builder.fc(builder.global_pool(x), outputs, name="classifier")
    return builder.build()


def _cell(builder: WorkloadBuilder, cell: Cell, x: int, inputs: int, outputs: int) -> int:
    channels = vertex_channels(cell, inputs, outputs)
    last = cell.vertices - 1
    rows = [x]
    for vertex in range(1, last + 1):
        sources = [rows[source] for source in range(1, vertex) if cell.sources(vertex) >> source & 1]
        if vertex == last and sources:
            # The network joins even a single tensor; a join costs nothing and is a row all the same.
            sources = [builder.row("concat", sources, co=outputs)]
        if cell.sources(vertex) & 1:
            sources.append(builder.conv(x, channels[vertex], 1, post="relu"))
        total = _sum(builder, sources, channels[vertex])
        if vertex == last:
            return total
        digit, width = cell.operations[vertex - 1], channels[vertex]
        if digit == 2:
            rows.append(builder.pool("maxpool", total, 3, 1, padding=1, ci=width, co=width))
        else:
            rows.append(builder.conv(total, width, _KERNELS[digit], post="relu", ci=width))
    raise AssertionError("a cell has an output")


def _sum(builder: WorkloadBuilder, sources: list[int], width: int) -> int:
    total = sources[0]
    for source in sources[1:]:
        total = builder.row("add", [total, source], ci=width, co=width)  # a wider source loses its last channel
    return total
