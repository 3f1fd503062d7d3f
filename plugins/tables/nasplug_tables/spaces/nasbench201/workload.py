"""The layers of NAS-Bench-201's network, from the cell alone; equal to what is read off the built network."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_tables.spaces.nasbench201.space import EDGES

STAGES = 3


def network_workload(
    operations: Sequence[str], input_shape: Sequence[int], outputs: int, *, channels: int = 16, cells: int = 5
) -> Workload:
    """The workload of a cell's network.

    Args:
        operations: Names of the six operations, in the order of `EDGES`.
        input_shape: (channels, height, width) of the images.
        outputs: Number of classes.
        channels: Channels of the first stage.
        cells: Cells per stage.
    """
    builder = WorkloadBuilder(input_shape)
    named = dict(zip(EDGES, operations, strict=True))
    x: int | None = builder.conv(INPUT, channels, 3, name="stem")
    for stage in range(STAGES):
        width = channels << stage
        if stage:
            x = _reduction(builder, x, width)
        for _ in range(cells):
            x = _cell(builder, named, x, width)
    if x is None:  # a cell that passes nothing on: the network is a constant
        return builder.build()
    x = builder.activate(builder.normalise(x), "relu")
    builder.fc(builder.global_pool(x), outputs, name="classifier")
    return builder.build()


def _cell(builder: WorkloadBuilder, named: dict[tuple[int, int], str], x: int | None, width: int) -> int | None:
    nodes: list[int | None] = [x]
    for node in range(1, 4):
        total: int | None = None
        started = False
        for source in range(node):
            name = named[source, node]
            if name == "none":
                continue
            term = _operation(builder, name, nodes[source], width)
            total = _plus(builder, total, term) if started else term
            started = True
        nodes.append(total)
    return nodes[-1]


def _operation(builder: WorkloadBuilder, name: str, x: int | None, width: int) -> int | None:
    if x is None or name == "skip_connect":
        return x
    if name == "avg_pool_3x3":
        return builder.pool("avgpool", x, 3, 1, padding=1)
    return builder.conv(builder.activate(x, "relu"), width, 3 if name == "nor_conv_3x3" else 1)


def _plus(builder: WorkloadBuilder, first: int | None, second: int | None) -> int | None:
    """A sum of two; None is a constant."""
    if first is None or second is None:
        known = second if first is None else first
        return None if known is None else builder.affine(known)
    return builder.add([first, second])


def _reduction(builder: WorkloadBuilder, x: int | None, width: int) -> int | None:
    if x is None:
        return None
    shortcut = builder.conv(builder.pool("avgpool", x, 2, ceil=True), width, 1, bias=False)
    branch = builder.conv(builder.activate(x, "relu"), width, 3, 2)
    branch = builder.conv(builder.activate(branch, "relu"), width, 3)
    return builder.add([shortcut, branch])
