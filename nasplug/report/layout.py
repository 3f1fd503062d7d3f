"""Where the boxes and arrows of a drawn network go, in units of a grid. Standard library only.

Chains run in rows from left to right. Any other graph is layered in the manner of Sugiyama, Tagawa and Toda (IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981): layers by longest path, invisible nodes where an edge
passes a layer, barycentre sweeps against crossings, then coordinates that pull neighbours into line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nasplug.spaces.graph import Graph

Point = tuple[float, float]

_SWEEPS = 12
#: Space that a passing edge takes beside a box, of 1.0 for a box.
_LANE = 0.45


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawn graph.

    Attributes:
        nodes: Centre of every box: (along, across), both from 0. `along` is the direction of the data.
        routes: Points between the two boxes of every edge of the graph, in order.
    """

    nodes: tuple[Point, ...]
    routes: tuple[tuple[Point, ...], ...]

    @property
    def length(self) -> float:
        """Largest coordinate along the flow."""
        return max((along for along, _ in self._points()), default=0.0)

    @property
    def breadth(self) -> float:
        """Largest coordinate across the flow."""
        return max((across for _, across in self._points()), default=0.0)

    def _points(self) -> list[Point]:
        return [*self.nodes, *(point for route in self.routes for point in route)]


def is_chain(graph: Graph) -> bool:
    """Whether every node feeds exactly the next one."""
    return sorted(set(graph.edges)) == [(node, node + 1) for node in range(len(graph.labels) - 1)]


def chain_layout(graph: Graph, columns: int) -> Layout:
    """Rows of `columns` boxes; the arrow from row to row runs through the gap between them."""
    nodes = tuple([(float(node % columns), float(node // columns)) for node in range(len(graph.labels))])
    routes: list[tuple[Point, ...]] = []
    for source, target in graph.edges:
        (along, row), (_, next_row) = nodes[source], nodes[target]
        if row == next_row:
            routes.append(())
        else:
            middle = row + 0.5
            routes.append(((along + 0.5, row), (along + 0.5, middle), (-0.5, middle), (-0.5, next_row)))
    return Layout(nodes, tuple(routes))


def layered_layout(graph: Graph) -> Layout:
    """Layers by longest path from the sources."""
    layer_of = layers(graph)
    chains: list[list[int]] = []  # per edge: its node, the invisible nodes it passes, its other node
    layer = list(layer_of)
    for source, target in graph.edges:
        passed = range(layer_of[source] + 1, layer_of[target])
        chains.append([source, *range(len(layer), len(layer) + len(passed)), target])
        layer.extend(passed)
    links = [(a, b) for chain in chains for a, b in pairwise(chain)]
    above: list[list[int]] = [[] for _ in layer]
    below: list[list[int]] = [[] for _ in layer]
    for a, b in links:
        below[a].append(b)
        above[b].append(a)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for vertex, depth in enumerate(layer):
        rows[depth].append(vertex)
    rows = _order(rows, above, below)
    across = _coordinates(rows, above, below, boxes=len(layer_of))
    points = [(float(layer[vertex]), across[vertex]) for vertex in range(len(layer))]
    return Layout(tuple(points[: len(layer_of)]), tuple([tuple([points[v] for v in chain[1:-1]]) for chain in chains]))


def layers(graph: Graph) -> list[int]:
    """Length of the longest path into every node."""
    depth = [0] * len(graph.labels)
    for source, target in sorted(graph.edges):
        depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _order(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    current = [list(row) for row in rows]
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        down = sweep % 2 == 0
        neighbours = above if down else below
        indices = range(1, len(current)) if down else range(len(current) - 2, -1, -1)
        for index in indices:
            row = current[index]
            position_of = {
                vertex: position for position, vertex in enumerate(current[index - 1 if down else index + 1])
            }
            key = {}
            for position, vertex in enumerate(row):
                around = [position_of[other] for other in neighbours[vertex]]
                key[vertex] = sum(around) / len(around) if around else float(position)
            row.sort(key=key.__getitem__)
        crossings = _crossings(current, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in current], crossings
    return best


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    total = 0
    for row, following in pairwise(rows):
        position_of = {vertex: position for position, vertex in enumerate(following)}
        ends = [position for vertex in row for position in sorted(position_of[other] for other in below[vertex])]
        # Inversions: edges that start in order and end out of order.
        total += sum(ends[i] > ends[j] for i in range(len(ends)) for j in range(i + 1, len(ends)))
    return total


def _coordinates(rows: list[list[int]], above: list[list[int]], below: list[list[int]], boxes: int) -> dict[int, float]:
    def gap(a: int, b: int) -> float:
        return (0.5 if a < boxes else _LANE / 2) + (0.5 if b < boxes else _LANE / 2)

    across: dict[int, float] = {}
    offsets: list[list[float]] = []
    for row in rows:
        offset = [0.0]
        for a, b in pairwise(row):
            offset.append(offset[-1] + gap(a, b))
        offsets.append(offset)
        for vertex, position in zip(row, offset, strict=True):
            across[vertex] = position - offset[-1] / 2
    for sweep in range(5 * _SWEEPS):
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for index in order:
            row, offset = rows[index], offsets[index]
            wanted, weights = [], []
            for vertex in row:
                around = [across[other] for other in (*above[vertex], *below[vertex])]
                wanted.append(sum(around) / len(around) if around else across[vertex])
                weights.append(1.0 if vertex < boxes else 3.0)  # long edges should be straight
            placed = _non_decreasing([w - o for w, o in zip(wanted, offset, strict=True)], weights)
            for vertex, value, shift in zip(row, placed, offset, strict=True):
                across[vertex] = value + shift
    least = min(across.values(), default=0.0)
    return {vertex: value - least for vertex, value in across.items()}


def _non_decreasing(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Nearest non-decreasing sequence in weighted least squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, w, count), (other, v, more) = blocks[-2:]
            blocks[-2:] = [((mean * w + other * v) / (w + v), w + v, count + more)]
    return [mean for mean, _, count in blocks for _ in range(count)]
