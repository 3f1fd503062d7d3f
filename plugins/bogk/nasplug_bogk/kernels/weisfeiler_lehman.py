"""The Weisfeiler-Lehman subtree embedding, on directed graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

from nasplug.contract.errors import SpecError
from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.counts import CountEmbedding
from nasplug_bogk.kernels.neighbours import neighbours


class WeisfeilerLehman(CountEmbedding):
    """Counts of node labels that are refined in rounds by the labels around them.

    Level 0 counts operations. In every round a node's label becomes the triple (own label, sorted labels of its
    predecessors, sorted labels of its successors); level h counts the labels after round h. Two graphs agree up to
    level h exactly when their nodes see the same surroundings up to h steps away, with directions kept apart.

    Source: Shervashidze et al., "Weisfeiler-Lehman Graph Kernels", JMLR 12 (2011), definition 4; for architectures: Ru
    et al., "Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels", ICLR
    2021, who look at one direction.

    Args:
        depths: The numbers of rounds on offer, ascending.
        directions: `both`, or only the labels `in` or `out` of a node.
        optimal_assignment: See `CountEmbedding`.

    Raises:
        SpecError: No depths.
    """

    def __init__(
        self,
        depths: Sequence[int] = (0, 1, 2, 3),
        directions: Literal["both", "in", "out"] = "both",
        optimal_assignment: bool = False,
    ) -> None:
        if not depths or min(depths) < 0:
            raise SpecError(
                f"depths must be non-negative numbers of rounds, got {list(depths)}", where="WeisfeilerLehman"
            )
        levels = range(max(depths) + 1)
        super().__init__(depths, [[float(level <= depth) for level in levels] for depth in depths], optimal_assignment)
        self.directions = directions
        self._labels: dict[Hashable, int] = {}
        self._meanings: list[Hashable] = []

    def substructures(self, graph: Graph) -> Sequence[Mapping[Hashable, int]]:
        """Label counts after every round."""
        into, out_of = neighbours(graph)
        labels = [self._label(name) for name in graph.labels]
        counts: list[Mapping[Hashable, int]] = [Counter(labels)]
        for _ in range(self.levels - 1):
            labels = [
                self._label(
                    (
                        labels[node],
                        () if self.directions == "out" else tuple(sorted([labels[other] for other in into[node]])),
                        () if self.directions == "in" else tuple(sorted([labels[other] for other in out_of[node]])),
                    )
                )
                for node in range(len(labels))
            ]
            counts.append(Counter(labels))
        return counts

    def meaning(self, label: int) -> Hashable:
        """What a label stands for: an operation, or (own label, labels of predecessors, labels of successors)."""
        return self._meanings[label]

    def _label(self, meaning: Hashable) -> int:
        label = self._labels.get(meaning)
        if label is None:
            label = self._labels[meaning] = len(self._meanings)
            self._meanings.append(meaning)
        return label
