"""The embedding by an untrained graph-convolution network, of finite width."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from nasplug.contract.errors import SpecError
from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.embedding import Array, Embedding


class GraphConvolution(Embedding):
    """Mean node state after some layers of a random graph convolution.

    Every node starts with a random vector that belongs to its label. A layer averages a node's state with those of its
    predecessors, and with those of its successors, and sends each average through weights of its own and a rectifier:

        H_{l+1} = [relu(P H_l U_l), relu(S H_l V_l)] / sqrt(width)

    with P and S the row-normalised adjacency matrices of both directions with self-loops, U_l and V_l matrices of
    independent N(0, 2 width / fan-in) numbers that are never trained. The variants are the states after more and more
    layers. Isomorphic graphs have equal vectors, up to rounding.

    The weights are a function of `seed` and of the labels' names alone, so that the same kernel meets any space. Kipf
    and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, note in appendix A.1
    that such a network with random weights already is a strong embedding of graphs, as it is a smooth relative of the
    Weisfeiler-Lehman relabelling.

    Args:
        layers: The numbers of layers on offer, ascending.
        width: Size of the node state, even.
        initialisations: Networks of different random weights, whose kernels are averaged.
        seed: Seed of the weights.

    Raises:
        SpecError: No layers, or an odd width.
    """

    def __init__(
        self, layers: Sequence[int] = (2, 3, 4, 5), width: int = 256, initialisations: int = 1, seed: int = 0
    ) -> None:
        if not layers or min(layers) < 1 or width < 2 or width % 2 or initialisations < 1:
            raise SpecError(
                f"layers={list(layers)}, width={width}, initialisations={initialisations} make no network",
                where="GraphConvolution",
                fix="give at least one number of layers from 1 on, an even width and at least one initialisation",
            )
        self.variants, self._deepest = tuple(layers), max(layers)
        self.width, self.initialisations, self.seed = width, initialisations, seed
        self._weights = [self._draw(index) for index in range(initialisations)]
        self._starts: dict[str, Array] = {}
        self._states: dict[Graph, npt.NDArray[np.float32]] = {}

    def features(self, graphs: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The vectors, float64 (len(wanted), len(graphs), initialisations * width)."""
        self._run([graph for graph in dict.fromkeys(graphs) if graph not in self._states])
        size = self.initialisations * self.width
        found = np.empty((len(wanted), len(graphs), size))
        for position, graph in enumerate(graphs):
            found[:, position] = self._states[graph][list(wanted)]
        return found

    def inner(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """Dot products of the vectors."""
        return self.features(a, wanted) @ self.features(b, wanted).transpose(0, 2, 1)

    def squared_norms(self, a: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """Squared lengths of the vectors."""
        squares: Array = np.square(self.features(a, wanted)).sum(axis=2)
        return squares

    def _run(self, graphs: Sequence[Graph]) -> None:
        """Sends graphs through the networks, side by side, and keeps their mean states."""
        if not graphs:
            return
        before, after, pooling = averaging(graphs)
        half, labels = self.width // 2, [label for graph in graphs for label in graph.labels]
        found = np.empty((len(self.variants), len(graphs), self.initialisations, self.width), np.float32)
        for index in range(self.initialisations):
            sent = np.stack([self._start(label)[index] for label in labels])
            for layer in range(1, self._deepest + 1):
                state = np.concatenate([before @ sent[:, :half], after @ sent[:, half:]], axis=1)
                np.maximum(state, 0.0, out=state)
                if layer in self.variants:
                    found[self.variants.index(layer), :, index] = pooling @ state
                if layer < self._deepest:
                    sent = state @ self._weights[index][layer - 1]
        # Single precision makes the vectors the same whatever else was in the batch, for a batch changes last bits.
        found /= np.sqrt(self.width * self.initialisations)
        for position, graph in enumerate(graphs):
            self._states[graph] = found[:, position].reshape(len(self.variants), -1).copy()

    def _start(self, label: str) -> Array:
        """A label's row of the first layer's weights, (initialisations, width), for both directions."""
        start = self._starts.get(label)
        if start is None:
            digest = hashlib.blake2b(label.encode(), digest_size=8).digest()
            rng = np.random.default_rng([self.seed, int.from_bytes(digest, "little")])
            start = self._starts[label] = rng.standard_normal((self.initialisations, self.width)) * np.sqrt(2.0)
        return start

    def _draw(self, index: int) -> list[Array]:
        """Weights of the layers after the first; U and V lie side by side, (width, width) each."""
        rng = np.random.default_rng([self.seed, index])
        scale = np.sqrt(2.0 / self.width)
        return [rng.standard_normal((self.width, self.width)) * scale for _ in range(self._deepest - 1)]


def averaging(graphs: Sequence[Graph]) -> tuple[csr_array, csr_array, csr_array]:
    """Graphs side by side, as one graph of many parts.

    Returns:
        Row-normalised adjacency with self-loops, over predecessors and over successors, (nodes, nodes) each; and the
        means over the nodes of each graph, (graphs, nodes).
    """
    sizes = np.array([len(graph.labels) for graph in graphs])
    starts = np.cumsum(sizes) - sizes
    nodes = int(sizes.sum())
    counts = [len(graph.edges) for graph in graphs]
    ends = [end for graph in graphs for edge in graph.edges for end in edge]
    edges = np.array(ends, dtype=np.int64).reshape(-1, 2) + np.repeat(starts, counts)[:, None]
    found = []
    for receiver in (1, 0):
        degree = np.bincount(edges[:, receiver], minlength=nodes) + 1.0
        rows = np.concatenate([np.arange(nodes), edges[:, receiver]])
        columns = np.concatenate([np.arange(nodes), edges[:, 1 - receiver]])
        found.append(csr_array((1.0 / degree[rows], (rows, columns)), shape=(nodes, nodes)))
    ends_of = np.concatenate([[0], np.cumsum(sizes)])
    pooling = csr_array((np.repeat(1.0 / sizes, sizes), np.arange(nodes), ends_of), shape=(len(graphs), nodes))
    return found[0], found[1], pooling
