"""Labelled directed acyclic graphs, the common picture of a network's structure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nasplug.contract.errors import SpaceError
from nasplug.contract.wording import plural


@dataclass(frozen=True, slots=True)
class Graph:
    """A labelled directed acyclic graph with its nodes in topological order.

    Attributes:
        labels: Operation of every node; by convention the first is `input`, the last `output`.
        edges: Pairs (source, target) of node indices with source < target.
    """

    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for source, target in self.edges:
            if not 0 <= source < target < len(self.labels):
                raise SpaceError(
                    f"edge {source}->{target} does not run forward between two of {plural(len(self.labels), 'node')}",
                    where="Graph",
                    fix="number the nodes in topological order",
                )

    @classmethod
    def chain(cls, operations: tuple[str, ...]) -> Graph:
        """Input -> operations in a row -> output."""
        labels = ("input", *operations, "output")
        return cls(labels, tuple((index, index + 1) for index in range(len(labels) - 1)))

    def without(self, labels: Collection[str]) -> Graph:
        """Leaves out nodes of these labels, and then every node that is on no path from the first to the last.

        Args:
            labels: Operations that pass nothing on, such as `none`. The first and the last node always stay.
        """
        last = len(self.labels) - 1
        kept = [node in (0, last) or label not in labels for node, label in enumerate(self.labels)]
        edges = sorted((x, y) for x, y in self.edges if kept[x] and kept[y])
        reached, needed = {0}, {last}
        for x, y in edges:
            if x in reached:
                reached.add(y)
        for x, y in sorted(edges, key=lambda edge: -edge[1]):
            if y in needed:
                needed.add(x)
        order = [node for node in range(last + 1) if node in (0, last) or (node in reached and node in needed)]
        index_of = {node: index for index, node in enumerate(order)}
        return Graph(
            tuple(self.labels[node] for node in order),
            tuple((index_of[x], index_of[y]) for x, y in edges if x in index_of and y in index_of),
        )

    def predecessors(self, node: int) -> tuple[int, ...]:
        """Nodes with an edge into `node`, ascending."""
        return tuple(sorted(source for source, target in self.edges if target == node))
