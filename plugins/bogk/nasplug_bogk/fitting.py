"""Fits the parameters of a kernel and the noise by the marginal likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nasplug.spaces.graph import Graph
from nasplug_bogk.kernels.embedding import Array
from nasplug_bogk.kernels.graph_kernel import EmbeddingKernel, Part, Shape, separations, similarity, slope
from nasplug_bogk.process import GaussianProcess

#: Noise relative to the signal: bounds, and the median and spread of its prior, in natural logarithms.
_NOISE = (np.log(1e-6), np.log(1.0), np.log(1e-2), 2.0)
#: Spread of the prior of a lengthscale around the median distance, and how far it may go from there.
_LENGTH_SPREAD, _LENGTH_REACH = 1.0, np.log(20.0)
#: Spread of the prior of the logarithm of a weight relative to the first one.
_WEIGHT_SPREAD = 2.0


@dataclass(frozen=True)
class _Given:
    """One part on the graphs of the fit: how far they are apart, and the median of that as a natural lengthscale."""

    separation: Array
    unit: float


def fit(
    kernel: EmbeddingKernel, graphs: Sequence[Graph], targets: Array, noise: float | None = None, limit: int = 200
) -> GaussianProcess:
    """The process with the most probable parameters, having observed the targets.

    Lengthscales, weights of the parts and noise maximise the logarithm of the marginal likelihood, of which the scale
    of the process is eliminated (its best value is y' K^-1 y / n), plus that of weak priors: log-normal around the
    median distance for lengthscales, around 0.01 for the relative noise. The variant of each part, such as the depth
    of relabelling, is the one with the largest such optimum when the part stands alone.

    Args:
        kernel: Tells embeddings and shape; its parameters are replaced.
        graphs: n >= 1 graphs.
        targets: float64 (n,), standardised.
        noise: Relative noise variance, if it is known.
        limit: Most observations that parameters are fitted to: of more, so many are taken, evenly by rank. The
            process observes all.
    """
    chosen = np.arange(len(graphs))
    if len(graphs) > limit:
        positions = np.round(np.linspace(0, len(graphs) - 1, limit)).astype(int)
        chosen = np.sort(np.argsort(targets, kind="stable")[positions])
    some, values = [graphs[i] for i in chosen.tolist()], targets[chosen]
    settled: list[Part] = []
    given: list[_Given] = []
    for part in kernel.parts:
        variant, data = _best_variant(part, kernel.shape, some, values, noise)
        settled.append(replace(part, variant=variant))
        given.append(data)
    solution = _optimise(kernel.shape, given, values, noise, steps=20)
    lengths, weights, level = _unpack(solution.x, given, noise)
    parts = tuple(
        replace(part, lengthscale=length, weight=weight)
        for part, length, weight in zip(settled, lengths, weights, strict=True)
    )
    scale = _scale(kernel.shape, given, values, lengths, weights, level)
    process = GaussianProcess(EmbeddingKernel(parts, kernel.shape), scale, level)
    process.add(graphs, targets)
    return process


def _best_variant(
    part: Part, shape: Shape, graphs: Sequence[Graph], targets: Array, noise: float | None
) -> tuple[int, _Given]:
    """The variant under which the part alone explains the targets best."""
    wanted = range(len(part.embedding.variants))
    apart = separations(part.embedding, shape, graphs, graphs, wanted)
    options = [_Given(each, _unit(each)) for each in apart]
    if len(options) == 1:
        return 0, options[0]
    values = [_optimise(shape, [option], targets, noise, steps=6).fun for option in options]
    best = int(np.argmin(values))
    return best, options[best]


def _unit(separation: Array) -> float:
    """The median distance of different graphs."""
    distances = separation[np.triu_indices(len(separation), 1)]
    distances = distances[distances > 1e-12]
    return float(np.sqrt(np.median(distances))) if len(distances) else 1.0


@dataclass(frozen=True)
class _Solution:
    x: Array
    fun: float


def _optimise(shape: Shape, given: Sequence[_Given], targets: Array, noise: float | None, steps: int) -> _Solution:
    """Maximises the likelihood over the logarithms of relative lengthscales, of weights, and of the noise."""
    count = len(given)
    start = np.concatenate([np.zeros(count), np.zeros(count - 1), [] if noise is not None else [_NOISE[2]]])
    bounds = [(-_LENGTH_REACH, _LENGTH_REACH)] * count + [(-6.0, 6.0)] * (count - 1)
    if noise is None:
        bounds.append(_NOISE[:2])
    found = minimize(
        _loss,
        start,
        args=(shape, given, targets, noise),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps, "maxfun": 2 * steps},
    )
    return _Solution(found.x, float(found.fun))


def _unpack(x: Array, given: Sequence[_Given], noise: float | None) -> tuple[list[float], list[float], float]:
    """Lengthscales, weights and relative noise."""
    count = len(given)
    lengths = [each.unit * float(np.exp(value)) for each, value in zip(given, x[:count], strict=True)]
    logits = np.concatenate([[0.0], x[count : 2 * count - 1]])
    weights = np.exp(logits - logits.max())
    return lengths, (weights / weights.sum()).tolist(), float(np.exp(x[-1])) if noise is None else noise


def _loss(x: Array, shape: Shape, given: Sequence[_Given], targets: Array, noise: float | None) -> tuple[float, Array]:
    """Negative logarithm of the posterior density of the parameters, without constants; and its gradient."""
    lengths, weights, level = _unpack(x, given, noise)
    n, count = len(targets), len(given)
    parts = [similarity(shape, each.separation, length) for each, length in zip(given, lengths, strict=True)]
    gram = sum((weight * part for weight, part in zip(weights, parts, strict=True)), np.zeros((n, n)))
    try:
        factor = cholesky(gram + max(level, 1e-8) * np.eye(n), lower=True, check_finite=False)
    except LinAlgError:
        return 1e10, np.zeros_like(x)
    inverse, _ = dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    pull = inverse @ targets
    scale = max(float(targets @ pull) / n, 1e-12)
    value = 0.5 * n * np.log(scale) + float(np.log(np.diag(factor)).sum())
    # d value / d K = (K^-1 - a a' / scale) / 2 with a = K^-1 y
    sensitivity = 0.5 * (inverse - np.outer(pull, pull) / scale)
    gradient = np.zeros_like(x)
    for i, (each, length, weight, part) in enumerate(zip(given, lengths, weights, parts, strict=True)):
        gradient[i] = weight * np.vdot(sensitivity, slope(shape, each.separation, length))
        if i > 0:
            gradient[count + i - 1] = weight * np.vdot(sensitivity, part - gram)
    prior = np.concatenate([x[:count] / _LENGTH_SPREAD, x[count : 2 * count - 1] / _WEIGHT_SPREAD])
    slopes = np.concatenate([prior[:count] / _LENGTH_SPREAD, prior[count:] / _WEIGHT_SPREAD])
    if noise is None:
        gradient[-1] = level * np.trace(sensitivity)
        off = (x[-1] - _NOISE[2]) / _NOISE[3]
        prior, slopes = np.append(prior, off), np.append(slopes, off / _NOISE[3])
    return value + 0.5 * float(prior @ prior), gradient + slopes


def _scale(
    shape: Shape, given: Sequence[_Given], targets: Array, lengths: list[float], weights: list[float], level: float
) -> float:
    """The most probable variance of the process."""
    gram = max(level, 1e-8) * np.eye(len(targets))
    for each, length, weight in zip(given, lengths, weights, strict=True):
        gram += weight * similarity(shape, each.separation, length)
    half = solve_triangular(cholesky(gram, lower=True, check_finite=False), targets, lower=True)
    return max(float(half @ half) / len(targets), 1e-12)
