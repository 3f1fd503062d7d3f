"""Embeddings that count substructures: sparse vectors, one block of columns for every level."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.embedding import Array, Embedding

_NOTHING = (np.zeros(0, dtype=np.int64), np.zeros(0))


class CountEmbedding(Embedding):
    """Counts of substructures, level by level; a variant is a weighting of the levels.

    Counts are integers, so that the products of a level are exact and do not depend on the order of summation.

    Args:
        variants: Settings that distinguish the variants.
        weights: Weight of every level's products in every variant, (variants, levels), not negative.
        optimal_assignment: Compare histograms by their intersection, the sum of elementwise minima, instead of the dot
            product. A count c is then written as c ones, which makes the intersection a dot product (Kriege, Giscard
            and Wilson, "On Valid Optimal Assignment Kernels", NeurIPS 2016).
    """

    def __init__(
        self, variants: Sequence[float], weights: Sequence[Sequence[float]], optimal_assignment: bool = False
    ) -> None:
        self.variants = tuple(variants)
        self.weights: Array = np.array(weights, dtype=np.float64)
        self.optimal_assignment = optimal_assignment
        self._columns: dict[Hashable, int] = {}
        self._names: list[Hashable] = []
        self._rows: dict[Graph, list[tuple[npt.NDArray[np.int64], Array]]] = {}  # columns and values of every level
        self._squares: dict[Graph, Array] = {}

    @property
    def levels(self) -> int:
        """Number of levels."""
        return int(self.weights.shape[1])

    @abstractmethod
    def substructures(self, graph: Graph) -> Sequence[Mapping[Hashable, int]]:
        """How often the graph has each substructure, one mapping for every level.

        A substructure is named by something hashable that is the same in all graphs.
        """

    def features(self, graphs: Sequence[Graph], level: int) -> csr_array:
        """The vectors of one level, sparse float64 (len(graphs), columns seen so far)."""
        rows = [self._row(graph)[level] for graph in graphs]
        ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns, values = (np.concatenate(arrays) for arrays in zip(*rows, strict=True)) if rows else _NOTHING
        return csr_array((values, columns, ends), shape=(len(graphs), max(1, len(self._names))))

    def column_names(self) -> Sequence[tuple[int, Hashable]]:
        """Level and substructure behind every column."""
        return self._names  # type: ignore[return-value]

    def inner(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The levels' dot products, in every weighting."""
        for graph in chain(a, b):
            self._row(graph)  # first all columns, so that both sides have the same
        found = np.zeros((len(wanted), len(a), len(b)))
        for level in range(self.levels):
            weights = self.weights[list(wanted), level]
            if weights.any():
                product = (self.features(a, level) @ self.features(b, level).T).toarray()
                for position in np.flatnonzero(weights):
                    found[position] += weights[position] * product
        return found

    def squared_norms(self, a: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The levels' sums of squares, in every weighting."""
        for graph in a:
            self._row(graph)
        squares = np.array([self._squares[graph] for graph in a])
        found = np.zeros((len(wanted), len(a)))
        for position, weights in enumerate(self.weights[list(wanted)]):
            for weight, level in zip(weights, squares.reshape(len(a), self.levels).T, strict=True):
                found[position] += weight * level
        return found

    def _row(self, graph: Graph) -> list[tuple[npt.NDArray[np.int64], Array]]:
        """Columns and values of every level, computed once for each graph."""
        row = self._rows.get(graph)
        if row is None:
            row = []
            for level, counts in enumerate(self.substructures(graph)):
                if self.optimal_assignment:
                    counts = Counter([(name, copy) for name, count in counts.items() for copy in range(count)])
                found = sorted([(self._column((level, name)), count) for name, count in counts.items()])
                columns, values = np.array(found, dtype=np.int64).reshape(-1, 2).T
                row.append((columns, values.astype(np.float64)))
            self._rows[graph] = row
            self._squares[graph] = np.array([values @ values for _, values in row])
        return row

    def _column(self, name: Hashable) -> int:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = len(self._names)
            self._names.append(name)
        return column
