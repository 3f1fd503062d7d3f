"""Labelled directed acyclic graphs, the common picture of a network's structure."""

from __future__ import annotations

from dataclasses import dataclass

from nasplug.errors import SpaceError


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
                    f"edge {source}->{target} does not run forward between two of {len(self.labels)} nodes",
                    where="Graph",
                    fix="number the nodes in topological order",
                )

    @classmethod
    def chain(cls, operations: tuple[str, ...]) -> Graph:
        """Input -> operations in a row -> output."""
        labels = ("input", *operations, "output")
        return cls(labels, tuple((index, index + 1) for index in range(len(labels) - 1)))

    def predecessors(self, node: int) -> tuple[int, ...]:
        """Nodes with an edge into `node`, ascending."""
        return tuple(sorted(source for source, target in self.edges if target == node))
