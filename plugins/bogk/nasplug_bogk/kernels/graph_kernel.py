"""Graph kernels: embeddings turned into similarities, alone or mixed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.embedding import Array, Embedding

#: How the similarity falls with the distance d = |x - y| / lengthscale of two embedded graphs: `rbf` exp(-d²/2),
#: `matern52` (1 + √5 d + 5 d²/3) exp(-√5 d). `linear` is the cosine of their angle.
Shape = Literal["matern52", "rbf", "linear"]


class GraphKernel(ABC):
    """A similarity of graphs that a Gaussian process can use.

    It is symmetric, positive semi-definite, the same for isomorphic graphs, and 1 between a graph and itself.
    """

    @abstractmethod
    def gram(self, a: Sequence[Graph], b: Sequence[Graph] | None = None, *, rough: bool = False) -> Array:
        """Similarities of two lists of graphs, or of one list with itself: float64 (len(a), len(b)).

        Args:
            a: Graphs of the rows.
            b: Graphs of the columns; default: `a`.
            rough: Whether single precision is enough.
        """


@dataclass(frozen=True)
class Part:
    """One embedding of a kernel, with its parameters.

    Attributes:
        embedding: Embedding of the graphs.
        variant: Position of the variant in use.
        lengthscale: Unit of distances; of no effect in a linear kernel.
        weight: Share of the kernel.
    """

    embedding: Embedding
    variant: int = 0
    lengthscale: float = 1.0
    weight: float = 1.0

    def separation(self, shape: Shape, a: Sequence[Graph], b: Sequence[Graph], *, rough: bool = False) -> Array:
        """What the similarity is a function of, see `separations`; (len(a), len(b))."""
        separation: Array = separations(self.embedding, shape, a, b, [self.variant], rough=rough)[0]
        return separation


@dataclass(frozen=True)
class EmbeddingKernel(GraphKernel):
    """A weighted sum of similarities in embedded spaces.

    Attributes:
        parts: The embeddings with their parameters; the weights sum to 1.
        shape: Function by which similarity falls with distance.
    """

    parts: tuple[Part, ...]
    shape: Shape = "matern52"

    def gram(self, a: Sequence[Graph], b: Sequence[Graph] | None = None, *, rough: bool = False) -> Array:
        """The weighted sum."""
        total = np.zeros((len(a), len(a if b is None else b)))
        for part in self.parts:
            separation = part.separation(self.shape, a, a if b is None else b, rough=rough)
            if b is None:
                separation = (separation + separation.T) / 2.0  # the same up to rounding
            total += part.weight * similarity(self.shape, separation, part.lengthscale)
        if b is None:
            np.fill_diagonal(total, sum(part.weight for part in self.parts))
        return total


def separations(
    embedding: Embedding,
    shape: Shape,
    a: Sequence[Graph],
    b: Sequence[Graph],
    wanted: Sequence[int],
    *,
    rough: bool = False,
) -> Array:
    """Squared distances of embedded graphs, or their cosines for a linear kernel: (len(wanted), len(a), len(b)).

    The embedding of a graph is never zero, since every graph has an input and an output.
    """
    found = embedding.roughly(a, b, wanted) if rough else embedding.inner(a, b, wanted)
    rows, columns = embedding.squared_norms(a, wanted), embedding.squared_norms(b, wanted)
    if shape == "linear":
        found /= np.sqrt(rows)[:, :, None]
        found /= np.sqrt(columns)[:, None, :]
        return np.minimum(found, 1.0, out=found)
    found *= -2.0
    found += rows[:, :, None]
    found += columns[:, None, :]
    return np.maximum(found, 0.0, out=found)


def similarity(shape: Shape, separation: Array, lengthscale: float) -> Array:
    """The similarity at these separations."""
    if shape == "linear":
        return separation
    if shape == "rbf":
        return np.exp(separation * (-0.5 / lengthscale**2))
    distance = np.sqrt(separation * (5.0 / lengthscale**2))
    result: Array = (1.0 + distance + distance * distance / 3.0) * np.exp(-distance)
    return result


def slope(shape: Shape, separation: Array, lengthscale: float) -> Array:
    """Derivative of the similarity with respect to the logarithm of the lengthscale."""
    if shape == "linear":
        return np.zeros_like(separation)
    squared = separation / lengthscale**2
    if shape == "rbf":
        return squared * np.exp(-0.5 * squared)
    distance = np.sqrt(5.0 * squared)
    result: Array = (5.0 / 3.0) * squared * (1.0 + distance) * np.exp(-distance)
    return result
