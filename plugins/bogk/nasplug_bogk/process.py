"""Gaussian-process regression on graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.embedding import Array
from nasplug_bogk.kernels.graph_kernel import GraphKernel

#: What is added to the diagonal, relative to it, until the Cholesky factorisation succeeds.
_JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)


class GaussianProcess:
    """The posterior of f ~ GP(0, scale k) after observing y = f + noise.

    Source of the equations: Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006,
    algorithm 2.1. Targets are expected to have mean zero, see `nasplug_bogk.targets`.

    Args:
        kernel: Similarity with k(x, x) = 1.
        scale: Variance of f before any observation, > 0.
        noise: Variance of the noise divided by `scale`, >= 0.
    """

    def __init__(self, kernel: GraphKernel, scale: float = 1.0, noise: float = 1e-3) -> None:
        self.kernel, self.scale, self.noise = kernel, scale, noise
        self.graphs: list[Graph] = []
        self.targets: Array = np.zeros(0)
        self._factor: Array = np.zeros((0, 0))
        self.weights: Array = np.zeros(0)

    def add(self, graphs: Sequence[Graph], targets: Array) -> None:
        """Observes more: extends the Cholesky factor by new rows, which costs O(n² m) instead of O((n + m)³).

        Args:
            graphs: m graphs.
            targets: Observed targets of the graphs, float64 (m,).
        """
        if not graphs:
            return
        old = len(self.graphs)
        corner = self.kernel.gram(graphs) + self.noise * np.eye(len(graphs))
        factor = np.zeros((old + len(graphs), old + len(graphs)))
        if old:
            below = solve_triangular(self._factor, self.kernel.gram(self.graphs, graphs), lower=True).T
            corner -= below @ below.T
            factor[:old, :old] = self._factor
            factor[old:, :old] = below
        factor[old:, old:] = factorise(corner)
        self._factor = factor
        self.graphs = [*self.graphs, *graphs]
        self.believe(np.concatenate([self.targets, targets]))

    def believe(self, targets: Array) -> None:
        """Replaces all targets, at the cost of O(n²); the graphs stay.

        Args:
            targets: float64 (n,).
        """
        self.targets = targets
        half = solve_triangular(self._factor, targets, lower=True)
        self.weights = solve_triangular(self._factor, half, lower=True, trans="T")

    def fork(self) -> GaussianProcess:
        """A copy that can observe more, while this one stays as it is."""
        copy = GaussianProcess(self.kernel, self.scale, self.noise)
        copy.graphs, copy.targets, copy._factor, copy.weights = self.graphs, self.targets, self._factor, self.weights
        return copy

    def mean(self, graphs: Sequence[Graph]) -> Array:
        """Posterior mean of f, float64 (len(graphs),)."""
        if not self.graphs:
            return np.zeros(len(graphs))
        return self.kernel.gram(graphs, self.graphs) @ self.weights

    def smoothed(self) -> Array:
        """Posterior mean at the observed graphs, float64 (n,): K a = y - noise a, without another Gram matrix."""
        smoothed: Array = self.targets - self.noise * self.weights
        return smoothed

    def predict(self, graphs: Sequence[Graph], *, rough: bool = False) -> tuple[Array, Array]:
        """Posterior mean and standard deviation of f, without the noise; float64 (len(graphs),) each.

        Args:
            graphs: Graphs to predict.
            rough: Whether similarities in single precision are enough, as to choose among candidates.
        """
        if not self.graphs:
            return np.zeros(len(graphs)), np.full(len(graphs), np.sqrt(self.scale))
        cross = self.kernel.gram(graphs, self.graphs, rough=rough)
        half = solve_triangular(self._factor, cross.T, lower=True)
        variance = np.maximum(1.0 - np.square(half).sum(axis=0), 1e-12)
        return cross @ self.weights, np.sqrt(self.scale * variance)

    def sample(self, graphs: Sequence[Graph], rng: np.random.Generator) -> Array:
        """One function drawn from the posterior, at these graphs: float64 (len(graphs),)."""
        covariance = self.kernel.gram(graphs)
        mean = np.zeros(len(graphs))
        if self.graphs:
            cross = self.kernel.gram(graphs, self.graphs)
            half = solve_triangular(self._factor, cross.T, lower=True)
            covariance -= half.T @ half
            mean = cross @ self.weights
        covariance[np.diag_indices_from(covariance)] += 1e-8
        sample: Array = mean + np.sqrt(self.scale) * (factorise(covariance) @ rng.standard_normal(len(graphs)))
        return sample

    def log_marginal_likelihood(self) -> float:
        """Logarithm of the density of the observed targets."""
        n = len(self.targets)
        misfit = float(self.targets @ self.weights) / self.scale
        logarithms = 2.0 * float(np.log(np.diag(self._factor)).sum()) + n * float(np.log(self.scale))
        return -0.5 * (misfit + logarithms + n * float(np.log(2.0 * np.pi)))


def factorise(matrix: Array) -> Array:
    """Lower Cholesky factor of a matrix that is positive semi-definite up to rounding.

    Raises:
        LinAlgError: It is far from positive semi-definite, which a kernel never makes.
    """
    diagonal = float(np.mean(np.diag(matrix)))
    for jitter in _JITTERS:
        try:
            factor: Array = cholesky(matrix + jitter * diagonal * np.eye(len(matrix)), lower=True, check_finite=False)
            return factor
        except LinAlgError:
            continue
    raise LinAlgError("the Gram matrix of a kernel is not positive semi-definite")
