"""The shortest-path embedding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.counts import CountEmbedding
from nasplug_bogk.kernels.neighbours import neighbours


class ShortestPath(CountEmbedding):
    """Counts of triples (label, label, length of the shortest directed path between the nodes).

    Level h counts the pairs that are h edges apart, so that level 0 counts operations.

    Source: Borgwardt and Kriegel, "Shortest-Path Kernels on Graphs", ICDM 2005, with the Dirac kernel on labels and
    lengths.

    Args:
        longest: Longest path that is counted.
    """

    def __init__(self, longest: int = 8) -> None:
        super().__init__([longest], [[1.0] * (longest + 1)])

    def substructures(self, graph: Graph) -> Sequence[Mapping[Hashable, int]]:
        """Pairs by distance."""
        _, out_of = neighbours(graph)
        counts: list[Counter[Hashable]] = [Counter() for _ in range(self.levels)]
        for start, label in enumerate(graph.labels):
            reached, front = {start}, [start]
            for distance in range(self.levels):
                counts[distance].update((label, graph.labels[node]) for node in front)
                front = list({after for node in front for after in out_of[node]} - reached)
                reached.update(front)
                if not front:
                    break
        return counts
