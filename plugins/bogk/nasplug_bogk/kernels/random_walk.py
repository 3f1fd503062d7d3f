"""The geometric random-walk embedding."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.counts import CountEmbedding
from nasplug_bogk.kernels.neighbours import neighbours


class RandomWalk(CountEmbedding):
    """Counts of labelled walks, whose products are weighted by `decay`^k for walks of k edges.

    The inner product of two graphs is the sum over the common walks of `decay`^k, which is the geometric random-walk
    kernel, the sum of all entries of (I - `decay` A)^-1 with A the adjacency matrix of the product graph of equally
    labelled nodes. On an acyclic graph walks are paths and the series ends, so that the walks can be counted one by
    one, and the vectors are sparse and exact.

    Source: Gärtner, Flach and Wrobel, "On Graph Kernels: Hardness Results and Efficient Alternatives", COLT 2003.

    Args:
        decays: Weights of one more edge, > 0, one for each variant.
        longest: Longest walk that is counted; a bound for graphs with very many paths.
    """

    def __init__(self, decays: Sequence[float] = (0.1, 0.3, 0.6, 1.0), longest: int = 6) -> None:
        super().__init__(decays, [[decay**k for k in range(longest + 1)] for decay in decays])

    def substructures(self, graph: Graph) -> Sequence[Mapping[Hashable, int]]:
        """Walks by their length, named by the labels along them."""
        into, _ = neighbours(graph)
        ending: list[dict[tuple[str, ...], int]] = [{(label,): 1} for label in graph.labels]
        counts: list[dict[Hashable, int]] = [{} for _ in range(self.levels)]
        for total in counts:
            for walks in ending:
                for walk, count in walks.items():
                    total[walk] = total.get(walk, 0) + count
            if not total:
                break  # no path is longer
            longer: list[dict[tuple[str, ...], int]] = []
            for before, label in zip(into, graph.labels, strict=True):
                walks = {}
                for node in before:
                    for walk, count in ending[node].items():
                        walks[*walk, label] = walks.get((*walk, label), 0) + count
                longer.append(walks)
            ending = longer
        return counts
