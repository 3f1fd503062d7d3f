"""The geometric random-walk embedding."""

from __future__ import annotations

from collections import Counter
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
        ending: list[Counter[tuple[str, ...]]] = [Counter({(label,): 1}) for label in graph.labels]
        counts: list[Mapping[Hashable, int]] = []
        for _ in range(self.levels):
            total: Counter[Hashable] = Counter()
            for walks in ending:
                total.update(walks)
            counts.append(total)
            longer: list[Counter[tuple[str, ...]]] = []
            for node, label in enumerate(graph.labels):
                walks = Counter()
                for before in into[node]:
                    for walk, count in ending[before].items():
                        walks[(*walk, label)] += count
                longer.append(walks)
            ending = longer
        return counts
