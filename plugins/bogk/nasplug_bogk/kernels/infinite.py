"""The embedding by an untrained graph-convolution network of infinite width."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from nasplug.contract.errors import SpecError
from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.convolution import averaging
from nasplug_bogk.kernels.embedding import Array, Embedding

#: Nodes on one side of the blocks that are worked on at a time: a block of float64 then stays in the cache.
_BLOCK = 240
#: Blocks that are kept, for the graphs that were observed come again and again.
_BLOCKS = 128


class InfiniteGraphConvolution(Embedding):
    """What `GraphConvolution` becomes when its width grows without bound: nothing random is left.

    With the width the states of two nodes become jointly Gaussian before the rectifier, and only their covariance
    counts. It starts as C_0(u, v) = 1 for equal labels and 0 otherwise, and a layer maps it to

        C_{l+1} = (kappa(P C_l P') + kappa(S C_l S')) / 2

    with kappa the expectation of the product of two rectified Gaussians, doubled: for covariance c, variances p and q
    and cos t = c / sqrt(p q) it is sqrt(p q) (sin t + (pi - t) cos t) / pi. The inner product of two graphs is the
    mean of C_l over all pairs of their nodes.

    Sources: Cho and Saul, "Kernel Methods for Deep Learning", NeurIPS 2009, the arc-cosine kernel of order 1; Lee et
    al., "Deep Neural Networks as Gaussian Processes", ICLR 2018, the recursion over layers.

    Args:
        layers: The numbers of layers on offer, ascending.

    Raises:
        SpecError: No layers.
    """

    def __init__(self, layers: Sequence[int] = (2, 3, 4)) -> None:
        if not layers or min(layers) < 1:
            raise SpecError(f"layers={list(layers)} make no network", where="InfiniteGraphConvolution")
        self.variants, self._layers = tuple(layers), tuple(layers)
        self._own: dict[Graph, tuple[Array, Array]] = {}
        self._codes: dict[str, int] = {}  # numbers of labels, which compare faster than texts
        self._block = lru_cache(maxsize=_BLOCKS)(self._make_block)

    def inner(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The recursion over all pairs of graphs, in blocks."""
        return self._recursion(a, b, wanted, rough=False)

    def roughly(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The recursion in single precision, which takes about a third of the time."""
        return self._recursion(a, b, wanted, rough=True)

    def _recursion(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int], *, rough: bool) -> Array:
        found = np.zeros((len(wanted), len(a), len(b)))
        layers = [self._layers[position] for position in wanted]
        same = a is b or list(a) == list(b)
        columns = [self._block(*b[start:end], rough=rough) for start, end in _cuts(b)]
        rows = columns if same else [self._block(*a[start:end], rough=rough) for start, end in _cuts(a)]
        for i, ((top, bottom), row) in enumerate(zip(_cuts(a), rows, strict=True)):
            for j, ((left, right), column) in enumerate(zip(_cuts(b), columns, strict=True)):
                if same and j < i:
                    found[:, top:bottom, left:right] = found[:, left:right, top:bottom].transpose(0, 2, 1)
                else:
                    found[:, top:bottom, left:right] = _between(row, column, layers)
        return found

    def squared_norms(self, a: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The recursion of every graph with itself."""
        return np.array([norms for _, norms in self.scales(a)]).reshape(len(a), len(self.variants)).T[list(wanted)]

    def _make_block(self, *graphs: Graph, rough: bool) -> _Block:
        exact = _Block(graphs, [deviations for deviations, _ in self.scales(graphs)], self._codes)
        return exact.in_single_precision() if rough else exact

    def scales(self, graphs: Sequence[Graph]) -> list[tuple[Array, Array]]:
        """Standard deviations of the node states before every rectifier, computed once for each graph.

        Returns:
            For every graph those over predecessors and over successors, and the squared norms of the graph: float64
            (2, layers, nodes) and (variants,).
        """
        fresh = [graph for graph in dict.fromkeys(graphs) if graph not in self._own]
        by_size: dict[int, list[Graph]] = {}
        for graph in fresh:
            by_size.setdefault(len(graph.labels), []).append(graph)
        for size, some in by_size.items():
            self._recur(some, size)
        return [self._own[graph] for graph in graphs]

    def _recur(self, graphs: Sequence[Graph], size: int) -> None:
        """The recursion of graphs of one size with themselves; a stack of small matrices."""
        labels = np.array([graph.labels for graph in graphs])
        covariance = (labels[:, :, None] == labels[:, None, :]).astype(np.float64)
        adjacency = np.tile(np.eye(size), (2, len(graphs), 1, 1))
        for index, graph in enumerate(graphs):
            for source, target in graph.edges:
                adjacency[0, index, target, source] = adjacency[1, index, source, target] = 1.0
        adjacency /= adjacency.sum(axis=3, keepdims=True)
        deviations = np.empty((len(graphs), 2, self._layers[-1], size))
        norms = np.empty((len(graphs), len(self.variants)))
        for layer in range(1, self._layers[-1] + 1):
            mixed = adjacency @ covariance @ adjacency.transpose(0, 1, 3, 2)
            spread = np.sqrt(np.diagonal(mixed, axis1=2, axis2=3))
            deviations[:, :, layer - 1] = spread.transpose(1, 0, 2)
            mixed /= spread[..., :, None] * (-1.0 - 1e-14)
            mixed /= spread[..., None, :]
            covariance = _rectified(mixed, spread[..., :, None] / np.pi, spread[..., None, :]).mean(axis=0)
            if layer in self.variants:
                norms[:, self.variants.index(layer)] = covariance.mean(axis=(1, 2))
        for graph, deviation, norm in zip(graphs, deviations, norms, strict=True):
            self._own[graph] = deviation, norm


class _Block:
    """Some graphs side by side as one graph of many parts.

    Attributes:
        labels: Numbers of the labels of all nodes.
        pooling: Means over the nodes of each graph, (graphs, nodes).
        deviations: Standard deviations of the node states before every rectifier, (2 directions, layers, nodes).
        cosines: Averages over the neighbours, divided by those deviations, for every direction and layer: between two
            blocks they turn covariances into cosines. Short of 1 by more than rounding, so that an arc cosine exists.
        negative: Minus `cosines`.
    """

    def __init__(self, graphs: Sequence[Graph], deviations: Sequence[Array], codes: dict[str, int]) -> None:
        self.labels = np.array([codes.setdefault(label, len(codes)) for graph in graphs for label in graph.labels])
        before, after, self.pooling = averaging(graphs)
        self.deviations = np.concatenate(deviations, axis=2)
        self.cosines, self.negative = (
            [
                [_rows_scaled(matrix, sign * (1.0 - 1e-14) / each) for each in layers]
                for matrix, layers in zip((before, after), self.deviations, strict=True)
            ]
            for sign in (1.0, -1.0)
        )

    def in_single_precision(self) -> _Block:
        """The same with numbers of 32 bits."""
        single = copy(self)
        single.pooling, single.deviations = self.pooling.astype(np.float32), self.deviations.astype(np.float32)
        single.cosines, single.negative = (
            [[matrix.astype(np.float32) for matrix in layers] for layers in ways]
            for ways in (self.cosines, self.negative)
        )
        return single


def _rows_scaled(matrix: csr_array, factors: Array) -> csr_array:
    data = matrix.data * np.repeat(factors, np.diff(matrix.indptr))
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _between(row: _Block, column: _Block, layers: Sequence[int]) -> Array:
    """The recursion between two blocks, (len(layers), graphs of the row, graphs of the column).

    Sparse matrices are applied from the left only. Every layer therefore turns the covariance round once, and rows and
    columns change places.
    """
    precision = row.deviations.dtype
    covariance = (row.labels[:, None] == column.labels[None, :]).astype(precision)
    found = []
    left, right = row, column
    for layer in range(layers[-1]):
        ways = []
        for way in (0, 1):
            half = left.cosines[way][layer] @ covariance
            cosine = right.negative[way][layer] @ np.ascontiguousarray(half.T)  # minus the cosine
            if precision != np.float64:
                np.maximum(cosine, -1.0, out=cosine)  # what falls short of 1 there is less than rounding here
            deviations = (0.5 / np.pi) * right.deviations[way, layer][:, None], left.deviations[way, layer]
            ways.append(_rectified(cosine, *deviations))
        covariance = np.add(ways[0], ways[1], out=ways[0])
        left, right = right, left
        if layer + 1 in layers:
            pooled = right.pooling @ np.ascontiguousarray((left.pooling @ covariance).T)
            found.append(pooled.T if left is row else pooled)
    return np.array(found)


def _rectified(negative: Array, rows: Array, columns: Array) -> Array:
    """The kernel kappa times pi, of Gaussians with these standard deviations and minus this cosine, in its place.

    With x = -cos t, it is (sin t + (pi - t) cos t) times the deviations = sqrt(1 - x²) - x arccos x times them.
    """
    angle = np.arccos(negative)
    angle *= negative
    result = np.multiply(negative, negative, out=negative)
    np.subtract(1.0, result, out=result)
    np.sqrt(result, out=result)
    result -= angle
    result *= rows
    result *= columns
    return result


def _cuts(graphs: Sequence[Graph]) -> list[tuple[int, int]]:
    """Ranges of graphs of about `_BLOCK` nodes."""
    bounds, nodes = [0], 0
    for index, graph in enumerate(graphs):
        nodes += len(graph.labels)
        if nodes >= _BLOCK:
            bounds.append(index + 1)
            nodes = 0
    if bounds[-1] != len(graphs):
        bounds.append(len(graphs))
    return list(pairwise(bounds))
