"""Cells of NAS-Bench-101 as small integers: pruning, canonical form, the official hash, parameters.

The benchmark is Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search" (ICML 2019, arXiv
1902.09635). A cell is a directed acyclic graph with an input, an output and up to five operations between them.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

#: Operations in the order of their digits.
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_VERTICES = 7
MAX_EDGES = 9
#: Pairs (channels into a cell, channels out of it) of the network, and how many cells have them.
CELL_CHANNELS = ((128, 128, 3), (128, 256, 1), (256, 256, 2), (256, 512, 1), (512, 512, 2))

Integers = npt.NDArray[np.int64]


class Cell(NamedTuple):
    """A labelled directed acyclic graph; vertex 0 is the input, the last one the output.

    Attributes:
        bits: Edges: x -> y with x < y is bit x + y (y - 1) / 2.
        operations: Index into `OPERATIONS` of the vertices between input and output.
    """

    bits: int
    operations: tuple[int, ...]

    @property
    def vertices(self) -> int:
        """Number of vertices, with input and output."""
        return len(self.operations) + 2

    def sources(self, vertex: int) -> int:
        """Vertices with an edge into `vertex`, as a bit mask."""
        return (self.bits >> (vertex * (vertex - 1) // 2)) & ((1 << vertex) - 1)

    def edges(self) -> tuple[tuple[int, int], ...]:
        """Pairs (source, target), by target and then by source."""
        return tuple((x, y) for y in range(1, self.vertices) for x in range(y) if self.sources(y) >> x & 1)

    def matrix(self) -> npt.NDArray[np.uint8]:
        """Adjacency matrix, shape (vertices, vertices), upper triangular."""
        found = np.zeros((self.vertices, self.vertices), dtype=np.uint8)
        for x, y in self.edges():
            found[x, y] = 1
        return found


def edge_bit(source: int, target: int) -> int:
    """Position of an edge in `Cell.bits`."""
    return source + target * (target - 1) // 2


def prune(cell: Cell) -> Cell | None:
    """Leaves out every vertex that is not on a path from input to output; None if there is no such path."""
    last = cell.vertices - 1
    sources = [cell.sources(vertex) for vertex in range(last + 1)]
    reached = 1
    for vertex in range(1, last + 1):
        if sources[vertex] & reached:
            reached |= 1 << vertex
    if not reached >> last & 1:
        return None
    needed = 1 << last
    for vertex in range(last, 0, -1):
        if needed >> vertex & 1:
            needed |= sources[vertex]
    kept = reached & needed
    if kept == (2 << last) - 1:
        return cell
    order = [vertex for vertex in range(last + 1) if kept >> vertex & 1]
    bits = 0
    for y, old in enumerate(order):
        for x in range(y):
            bits |= (sources[old] >> order[x] & 1) << edge_bit(x, y)
    return Cell(bits, tuple(cell.operations[vertex - 1] for vertex in order[1:-1]))


def is_valid(cell: Cell) -> bool:
    """Whether the benchmark's space holds the cell: after pruning, a path, and at most nine edges."""
    pruned = prune(cell)
    return pruned is not None and pruned.bits.bit_count() <= MAX_EDGES and pruned.vertices <= MAX_VERTICES


class Relabellings(NamedTuple):
    """All orders of the vertices between input and output, as look-up tables over edge bits.

    Attributes:
        orders: Shape (P, k): new position (0-based) of each of the k inner vertices.
        inverse: Shape (P, k): which inner vertex comes to each position.
        tables: Three arrays of shape (128, P): edge bits after relabelling, for bits 0-6, 7-13 and 14-20 of a cell;
            an edge that would run backward sets `BACKWARD`.
    """

    orders: Integers
    inverse: Integers
    tables: tuple[Integers, Integers, Integers]


BACKWARD = 1 << 40


@cache
def relabellings(vertices: int) -> Relabellings:
    """The relabellings of cells with so many vertices."""
    inner = vertices - 2
    orders = np.array(list(permutations(range(inner))), dtype=np.int64).reshape(math.factorial(inner), inner)
    count = len(orders)
    position = np.zeros((count, vertices), dtype=np.int64)
    position[:, 1:-1] = orders + 1
    position[:, -1] = vertices - 1
    moved = np.zeros((21, count), dtype=np.int64)
    for y in range(1, vertices):
        for x in range(y):
            to_x, to_y = position[:, x], position[:, y]
            moved[edge_bit(x, y)] = np.where(to_x < to_y, 1 << (to_x + to_y * (to_y - 1) // 2), BACKWARD)
    chunks = []
    for start in (0, 7, 14):
        table = np.zeros((128, count), dtype=np.int64)
        for value in range(128):
            for bit in range(7):
                if value >> bit & 1:
                    table[value] |= moved[start + bit]
        chunks.append(table)
    return Relabellings(orders, np.argsort(orders, axis=1), (chunks[0], chunks[1], chunks[2]))


@cache
def _best_orders(bits: int, vertices: int) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Smallest edge bits over all relabellings, and which inner vertex goes where in each that reaches them."""
    tables = relabellings(vertices).tables
    relabelled = tables[0][bits & 127] | tables[1][bits >> 7 & 127] | tables[2][bits >> 14]
    smallest = relabelled.min()
    inverse = relabellings(vertices).inverse[relabelled == smallest]
    return int(smallest), tuple(map(tuple, inverse.tolist()))


def canonical(cell: Cell) -> Cell:
    """The representative of all cells isomorphic to a pruned cell.

    It has the smallest edge bits and, among those, the lexicographically smallest operations.
    """
    bits, orders = _best_orders(cell.bits, cell.vertices)
    operations = cell.operations
    if len(orders) == 1:
        return Cell(bits, tuple([operations[vertex] for vertex in orders[0]]))
    return Cell(bits, min([tuple([operations[vertex] for vertex in order]) for order in orders]))


def module_hash(cell: Cell) -> str:
    """The hash by which the benchmark's files name a pruned cell: MD5 over seven rounds of neighbourhoods."""
    vertices = cell.vertices
    into: list[list[int]] = [[] for _ in range(vertices)]
    out: list[list[int]] = [[] for _ in range(vertices)]
    for x, y in cell.edges():
        into[y].append(x)
        out[x].append(y)
    labels = (-1, *cell.operations, -2)
    hashes = [_first_hash(len(out[v]), len(into[v]), labels[v]) for v in range(vertices)]
    md5 = hashlib.md5
    for _ in range(vertices):
        hashes = [
            md5(
                (
                    "".join(sorted([hashes[x] for x in into[v]]))
                    + "|"
                    + "".join(sorted([hashes[y] for y in out[v]]))
                    + "|"
                    + hashes[v]
                ).encode(),
                usedforsecurity=False,
            ).hexdigest()
            for v in range(vertices)
        ]
    return md5(str(sorted(hashes)).encode(), usedforsecurity=False).hexdigest()


@cache
def _first_hash(out_degree: int, in_degree: int, label: int) -> str:
    return hashlib.md5(str((out_degree, in_degree, label)).encode(), usedforsecurity=False).hexdigest()


def vertex_channels(cell: Cell, inputs: int, outputs: int) -> list[int]:
    """Channels of every vertex of a pruned cell in a network.

    The output concatenates its sources, so they share its channels, the first ones taking what does not divide; every
    other vertex is as wide as the widest vertex it feeds.

    Args:
        cell: A pruned cell.
        inputs: Channels into the cell.
        outputs: Channels out of it.
    """
    last = cell.vertices - 1
    channels = [0] * (last + 1)
    channels[0], channels[last] = inputs, outputs
    if last == 1:
        return channels
    final = [x for x in range(1, last) if cell.sources(last) >> x & 1]
    share, rest = divmod(outputs, len(final)) if final else (0, 0)
    for index, vertex in enumerate(final):
        channels[vertex] = share + (index < rest)
    for vertex in range(last - 1, 0, -1):
        if not cell.sources(last) >> vertex & 1:
            channels[vertex] = max(channels[y] for y in range(vertex + 1, last) if cell.sources(y) >> vertex & 1)
    return channels


def parameters(cell: Cell, outputs: int = 10) -> int:
    """Trainable parameters of the benchmark's network with a pruned cell (stem of 128, three stacks of three cells).

    Args:
        cell: A pruned cell.
        outputs: Number of classes.
    """
    last = cell.vertices - 1
    total = 3 * 9 * 128 + 2 * 128 + (512 + 1) * outputs
    for c_in, c_out, times in CELL_CHANNELS:
        channels = vertex_channels(cell, c_in, c_out)
        count = 0
        for vertex in range(1, last + 1):
            c = channels[vertex]
            if cell.sources(vertex) & 1:  # the cell's input comes through a projection
                count += c_in * c + 2 * c
            if vertex < last:
                count += (9 * c * c + 2 * c, c * c + 2 * c, 0)[cell.operations[vertex - 1]]
        total += times * count
    return total
