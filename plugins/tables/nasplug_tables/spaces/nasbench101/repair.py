"""Seven-vertex forms of cells: giving a cell its missing vertices, and making a cell of any edge bits."""

from __future__ import annotations

import numpy as np

from nasplug_tables.spaces.nasbench101.cells import MAX_EDGES, MAX_VERTICES, OPERATIONS, Cell, edge_bit, prune


def embed(cell: Cell, rng: np.random.Generator | None = None) -> Cell:
    """The same network with seven vertices; the added ones have no edges.

    Args:
        cell: Any cell.
        rng: Draws places and operations of the added vertices; without it they come right in front of the output and
            repeat the first operation of the space.
    """
    missing = MAX_VERTICES - cell.vertices
    if not missing:
        return cell
    inner = MAX_VERTICES - 2
    if rng is None:
        positions = list(range(len(cell.operations)))
        operations = [0] * inner
    else:
        positions = sorted(rng.permutation(inner)[: len(cell.operations)].tolist())
        operations = rng.integers(len(OPERATIONS), size=inner).tolist()
    order = [0, *(position + 1 for position in positions), MAX_VERTICES - 1]
    for position, operation in zip(positions, cell.operations, strict=True):
        operations[position] = operation
    return Cell(sum(1 << edge_bit(order[x], order[y]) for x, y in cell.edges()), tuple(operations))


def repair(cell: Cell) -> Cell:
    """A pruned cell of the space for any edges and operations; one that is in the space only gets pruned.

    Without a path from input to output, the cell gets the edge between the two. Of more than nine edges, the longest
    that no vertex needs are dropped first: they are the ones that bypass the most operations. (Five operations side by
    side have ten edges and need them all; one operation goes then.)
    """
    pruned = prune(cell)
    if pruned is None:
        pruned = prune(Cell(cell.bits | 1 << edge_bit(0, cell.vertices - 1), cell.operations))
        assert pruned is not None
    while pruned.bits.bit_count() > MAX_EDGES:
        longest_first = sorted(pruned.edges(), key=lambda edge: edge[0] - edge[1])
        shorter = [prune(Cell(pruned.bits & ~(1 << edge_bit(x, y)), pruned.operations)) for x, y in longest_first]
        whole = [fewer for fewer in shorter if fewer is not None and fewer.vertices == pruned.vertices]
        pruned = (whole or [fewer for fewer in shorter if fewer is not None])[0]
    return pruned
