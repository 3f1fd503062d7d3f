"""All 423,624 cells of NAS-Bench-101, enumerated from the definition of the space in about a second.

Unlabelled graphs first: every upper-triangular edge pattern in which each vertex lies on a path, reduced to its
smallest relabelling. Then, for each graph, the labellings that no automorphism makes smaller.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasplug_tables.spaces.nasbench101.cells import (
    BACKWARD,
    MAX_EDGES,
    MAX_VERTICES,
    OPERATIONS,
    Cell,
    Integers,
    edge_bit,
    relabellings,
)

#: Labellings of at most five operations fit below this.
LABELLINGS: int = len(OPERATIONS) ** (MAX_VERTICES - 2)


class Cells(NamedTuple):
    """Distinct cells as columns, ordered by number of vertices, edge bits and operations.

    Attributes:
        vertices: Shape (N,), 2 to 7.
        bits: Shape (N,), canonical edge bits.
        labelling: Shape (N,), the operations as a number in base three, first operation most significant.
    """

    vertices: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint32]
    labelling: npt.NDArray[np.uint8]

    def cell(self, index: int) -> Cell:
        """One cell."""
        return Cell(int(self.bits[index]), operations_of(int(self.labelling[index]), int(self.vertices[index]) - 2))

    @property
    def total(self) -> int:
        """Number of cells."""
        return len(self.bits)


def operations_of(labelling: int, count: int) -> tuple[int, ...]:
    """The digits of a labelling."""
    found = []
    for _ in range(count):
        labelling, digit = divmod(labelling, len(OPERATIONS))
        found.append(digit)
    return tuple(reversed(found))


def labelling_of(operations: tuple[int, ...]) -> int:
    """The inverse of `operations_of`."""
    found = 0
    for operation in operations:
        found = found * len(OPERATIONS) + operation
    return found


def code_of(vertices: int, bits: int, labelling: int) -> int:
    """One integer per cell, increasing in the order of `all_cells`."""
    code: int = (vertices << 21 | bits) * LABELLINGS + labelling
    return code


def codes_of(vertices: npt.ArrayLike, bits: npt.ArrayLike, labelling: npt.ArrayLike) -> Integers:
    """`code_of` for columns."""
    v, b, n = (np.asarray(column, dtype=np.int64) for column in (vertices, bits, labelling))
    found: Integers = (v << 21 | b) * LABELLINGS + n
    return found


def cell_of(code: int) -> Cell:
    """The inverse of `code_of`."""
    rest, labelling = divmod(code, LABELLINGS)
    return Cell(rest & (1 << 21) - 1, operations_of(labelling, (rest >> 21) - 2))


@cache
def all_cells() -> Cells:
    """Every cell of the space once; computed at the first call and kept (2.5 MB)."""
    parts = [_cells_with(vertices) for vertices in range(2, MAX_VERTICES + 1)]
    return Cells(
        np.concatenate([np.full(len(bits), v, np.uint8) for v, (bits, _) in enumerate(parts, start=2)]),
        np.concatenate([bits for bits, _ in parts]),
        np.concatenate([labelling for _, labelling in parts]),
    )


def _cells_with(vertices: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    graphs, automorphic = _graphs(vertices)
    moved = _moved_labellings(vertices - 2)
    everything = np.arange(moved.shape[1])
    smallest: dict[bytes, npt.NDArray[np.uint8]] = {}
    chosen = []
    for symmetric in automorphic:
        group = symmetric.tobytes()
        if group not in smallest:
            smallest[group] = np.flatnonzero(moved[symmetric].min(axis=0) == everything).astype(np.uint8)
        chosen.append(smallest[group])
    return np.repeat(graphs, [len(labellings) for labellings in chosen]).astype(np.uint32), np.concatenate(chosen)


def _graphs(vertices: int) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Unlabelled graphs as canonical edge bits, ascending, and which relabellings leave each as it is."""
    patterns = np.arange(1 << vertices * (vertices - 1) // 2, dtype=np.int64)
    patterns = patterns[np.bitwise_count(patterns) <= MAX_EDGES]
    for vertex in range(1, vertices):  # every vertex has a source
        column = sum(1 << edge_bit(x, vertex) for x in range(vertex))
        patterns = patterns[patterns & column != 0]
    for vertex in range(vertices - 1):  # and a target; with both, it lies on a path from input to output
        row = sum(1 << edge_bit(vertex, y) for y in range(vertex + 1, vertices))
        patterns = patterns[patterns & row != 0]
    tables = relabellings(vertices).tables
    relabelled = np.empty_like(patterns)
    canonical = np.ones(len(patterns), dtype=bool)
    for order in range(tables[0].shape[1]):
        relabelled = _relabel(patterns, tables, order)
        canonical &= relabelled >= patterns
    graphs = patterns[canonical]
    return graphs, np.stack([_relabel(graphs, tables, order) == graphs for order in range(tables[0].shape[1])], axis=1)


def _relabel(patterns: Integers, tables: tuple[Integers, Integers, Integers], order: int) -> Integers:
    first, second, third = (table[:, order] for table in tables)
    found: Integers = first[patterns & 127] | second[patterns >> 7 & 127] | third[patterns >> 14]
    return np.where(found >= BACKWARD, BACKWARD, found)


def _moved_labellings(count: int) -> npt.NDArray[np.int64]:
    """Shape (P, 3**count): each labelling after each relabelling."""
    inverse = relabellings(count + 2).inverse
    labellings = np.arange(len(OPERATIONS) ** count)
    powers = len(OPERATIONS) ** np.arange(count - 1, -1, -1, dtype=np.int64)
    digits = labellings // powers[:, None] % len(OPERATIONS)
    return np.stack([powers @ digits[order] for order in inverse])
