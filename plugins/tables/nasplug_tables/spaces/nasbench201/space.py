"""NAS-Bench-201 as a search space: 15,625 cells, one operation on each of six edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpaceError
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture, Genotype
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.workloads.workload import Workload

#: Operations in the order of their digits in tables.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: Edges between the four nodes of a cell, in the order of the genotype.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_LAST = 3
_POWERS = len(OPERATIONS) ** np.arange(len(EDGES) - 1, -1, -1, dtype=np.int64)


class NASBench201(ClassifiesImages, ChoiceSpace):
    """Cells of four nodes and six edges (Dong and Yang, ICLR 2020, arXiv 2001.00326; NATS-Bench, arXiv 2009.00437).

    Cells that compute the same but are written differently keep different keys: the tables measured them apart.

    Args:
        channels: Channels of the first stage, in networks; the benchmark trained 16.
        cells: Cells per stage; the benchmark has 5.

    The graph has the operations on its nodes: `input`, the six edges' operations, `output`. Operations `none` stay in
    it; `Graph.without({"none"})` leaves them out.
    """

    def __init__(self, channels: int = 16, cells: int = 5) -> None:
        super().__init__("nasbench201", [Choice(f"{x}->{y}", OPERATIONS) for x, y in EDGES])
        self.channels, self.cells = channels, cells

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with: small networks."""
        return [{"channels": 4, "cells": 1}]

    def build(self, architecture: Architecture, task: Task) -> Any:
        """Builds the benchmark's network around the cell, for the task's channels and outputs."""
        from nasplug_tables.spaces.nasbench201.network import build_network

        operations: Any = architecture.genotype
        return build_network(operations, task.input_shape[0], task.outputs, channels=self.channels, cells=self.cells)

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """An operation on an edge is one in all networks, with its normalisation; see `nasplug.SharesWeights`."""
        operations: Any = architecture.genotype
        named = {f"{x}->{y}": operation for (x, y), operation in zip(EDGES, operations, strict=True)}
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
        for name, _ in network.named_parameters():
            cell, inside, rest = name.partition(".operations.")
            if inside:
                edge, _, parameter = rest.partition(".")
                found[name] = f"{cell}.{edge}.{named[edge]}.{parameter}", {}
        return found

    def relaxed(self, task: Task) -> nn.Module:
        """Builds the network in which every edge is a weighted sum of its operations; see `nasplug.Relaxes`."""
        from nasplug_tables.spaces.nasbench201.relaxed import RelaxedNetwork

        built = {name: self.build(self.architecture([name] * len(EDGES)), task) for name in OPERATIONS}
        return RelaxedNetwork(built, EDGES)

    def derived(self, network: nn.Module) -> Genotype:
        """Reads the cell of the largest weights off a trained relaxed network; see `nasplug.Relaxes`."""
        trained: Any = network
        found: tuple[str, ...] = trained.favoured()
        return found

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the benchmark's network around the cell."""
        from nasplug_tables.spaces.nasbench201.workload import network_workload

        operations: Any = architecture.genotype
        return network_workload(operations, task.input_shape, task.outputs, channels=self.channels, cells=self.cells)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The 24 cells that differ in one operation."""
        vector = self.vector(architecture)
        return [
            self.from_vector((*vector[:edge], other, *vector[edge + 1 :]))
            for edge in range(len(EDGES))
            for other in range(len(OPERATIONS))
            if other != vector[edge]
        ]

    def graph(self, architecture: Architecture) -> Graph:
        """Eight nodes: input, the operations in the order of the edges, output."""
        operations: Any = architecture.genotype
        return Graph(("input", *operations, "output"), _graph_edges())

    def from_graph(self, graph: Graph) -> Architecture:
        """The cell of a graph with the nodes and edges that `graph` gives.

        Raises:
            SpaceError: The graph is not a cell of the space.
        """
        if (graph.labels[:1], graph.labels[-1:]) != (("input",), ("output",)) or set(graph.edges) != {*_graph_edges()}:
            raise SpaceError("the nodes and edges are not those of a cell", where="space 'nasbench201'")
        return self.architecture(graph.labels[1:-1])

    def parse(self, text: str) -> Architecture:
        """Reads the benchmark's own notation, `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...~0|...~1|...~2|`.

        Raises:
            SpaceError: Another notation.
        """
        try:
            rows = [[part.split("~") for part in row.strip("|").split("|")] for row in text.split("+")]
            named = {(int(x), y): operation for y, row in enumerate(rows, start=1) for operation, x in row}
            if len(named) != len(EDGES):
                raise ValueError("not six operations")
            return self.architecture(tuple(named[edge] for edge in EDGES))
        except (ValueError, KeyError) as error:
            raise SpaceError(
                f"cannot read the cell {text!r}",
                where="space 'nasbench201'",
                why=str(error),
                fix="write |OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2|",
            ) from error

    def text(self, architecture: Architecture) -> str:
        """The inverse of `parse`."""
        operations: Any = architecture.genotype
        named = dict(zip(EDGES, operations, strict=True))
        rows = ["|" + "|".join(f"{named[x, y]}~{x}" for x in range(y)) + "|" for y in range(1, _LAST + 1)]
        return "+".join(rows)

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Columns that say which cell a row of a table is: six digits, one per edge."""
        return ("ops",)

    def codes(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """One integer per row of a table.

        Raises:
            SpaceError: A row is not six digits below five.
        """
        texts = np.asarray(columns["ops"], dtype="S")
        if texts.dtype.itemsize != len(EDGES):
            raise SpaceError("column 'ops' does not hold six digits", where="table of nasbench201")
        digits = texts.view(np.uint8).reshape(len(texts), len(EDGES)).astype(np.int64) - ord("0")
        if ((digits < 0) | (digits >= len(OPERATIONS))).any():
            raise SpaceError("column 'ops' holds digits beyond 0 to 4", where="table of nasbench201")
        found: npt.NDArray[np.int64] = digits @ _POWERS
        return found


@cache
def _graph_edges() -> tuple[tuple[int, int], ...]:
    """Edges of every cell's graph, whose nodes are the operations on the cell's edges."""
    edges = []
    for node, (source, target) in enumerate(EDGES, start=1):
        if source == 0:
            edges.append((0, node))
        edges.extend((before, node) for before, (_, end) in enumerate(EDGES, start=1) if end == source)
        if target == _LAST:
            edges.append((node, len(EDGES) + 1))
    return tuple(edges)


def parameters(architecture: Architecture, outputs: int = 10) -> int:
    """Trainable parameters of the benchmark's network.

    Args:
        architecture: A cell.
        outputs: Number of classes.
    """
    operations: Any = architecture.genotype
    return network_parameters(operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3"), outputs)


def network_parameters(small: int, large: int, outputs: int) -> int:
    """Trainable parameters with 16 channels and five cells per stage; only convolutions add some, wherever they are.

    Args:
        small: Number of 1x1 convolutions in the cell.
        large: Number of 3x3 convolutions.
        outputs: Number of classes.
    """
    return 72_656 + 65 * outputs + 28_000 * small + 243_040 * large
