"""Labels of channels: which indices of which axes of a network's tensors can only appear or vanish together.

Every index along an axis of a weight has a label of its own. Operators pass labels on to what they compute, and *tie*
two of them where their indices must stay together, such as those of two summands. In the end, tied labels are one
channel, and what an operator does not let pass is fixed, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

#: Labels of the indices along an axis, or None where its size does not follow any channel.
Labels: TypeAlias = npt.NDArray[np.int64]
Axes: TypeAlias = tuple[Labels | None, ...]

#: What a weight does with the channels of one of its axes: makes them, reads them, or scales and shifts each.
Role = Literal["out", "in", "along"]

#: Why something about channels does not hold: their number cannot change; removing silent ones, or splitting, changes
#: what the network computes.
Flaw = Literal["fixed", "removal", "split"]


@dataclass
class LabelBook:
    """Gives out labels, and remembers which of them are tied and what is wrong with them.

    Attributes:
        size: Number of labels given out.
    """

    size: int = 0
    _ties: list[tuple[Labels, Labels]] = field(default_factory=list)
    _flaws: dict[tuple[Flaw, str], list[Labels]] = field(default_factory=dict)

    def new(self, count: int) -> Labels:
        """Returns labels that nothing has yet."""
        self.size += count
        return np.arange(self.size - count, self.size, dtype=np.int64)

    def tie(self, one: Labels, other: Labels) -> None:
        """Says that indices stay together, pair by pair; arrays are broadcast against each other."""
        if one is not other:
            self._ties.append((one, other))

    def flaw(self, kind: Flaw, labels: Labels, reason: str) -> None:
        """Says what does not hold for channels, and why."""
        self._flaws.setdefault((kind, reason), []).append(labels.reshape(-1))

    def fix(self, axes: Sequence[Labels | None], reason: str) -> None:
        """Says that the size of axes cannot change."""
        for labels in axes:
            if labels is not None:
                self.flaw("fixed", labels, reason)

    def channels(self) -> Labels:
        """Returns the number of its channel for every label."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for one, other in self._ties:
            left, right = np.broadcast_arrays(one, other)
            rows.append(left.reshape(-1))
            columns.append(right.reshape(-1))
        row, column = np.concatenate(rows), np.concatenate(columns)
        graph = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(self.size, self.size))
        found: Labels = connected_components(graph, directed=False)[1].astype(np.int64)
        return found

    def flaws(self, channels: Labels) -> dict[Flaw, dict[int, str]]:
        """Returns the first reason of every flawed channel, by kind of flaw.

        Args:
            channels: Channel of every label, from `channels`.
        """
        found: dict[Flaw, dict[int, str]] = {"fixed": {}, "removal": {}, "split": {}}
        for (kind, reason), labels in self._flaws.items():
            for channel in np.unique(channels[np.concatenate(labels)]).tolist():
                found[kind].setdefault(channel, reason)
        return found
