"""Expected growth of the area that a front dominates: what an evaluation is worth when there are two objectives."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from nasplug_bogk.acquisition import log_expected_improvement
from nasplug_bogk.kernels.embedding import Array

#: How far the reference lies below the worst values reached, relative to their extent.
_MARGIN = 0.1


def non_dominated(points: Array) -> Array:
    """The points that no other one dominates, each once, ascending by the first objective.

    Args:
        points: float64 (n, 2), larger is better.

    Returns:
        float64 (m, 2), therefore descending by the second one.
    """
    kept: list[list[float]] = []
    for point in sorted(points.tolist(), reverse=True):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return np.array(kept[::-1]).reshape(-1, 2)


def reference_of(points: Array) -> Array:
    """A point that all others beat, (2,): a tenth of their extent, and at least a tenth, beyond the worst values.

    The worst of all points and not only of the front, so that the front can grow beyond its ends.

    Args:
        points: float64 (n, 2) with n >= 1, of values with standard deviation 1.
    """
    worst: Array = points.min(axis=0) - _MARGIN * np.maximum(np.ptp(points, axis=0), 1.0)
    return worst


def log_expected_hypervolume_improvement(means: Array, deviations: Array, front: Array, reference: Array) -> Array:
    """Logarithm of the expected growth of the dominated area, of two objectives with independent beliefs.

    The area that a point y adds is that of all z between the reference and y which no point of the front dominates, so
    its expectation is the integral of P(y1 >= z1) P(y2 >= z2) over that region. The front cuts the region into strips
    from u to u' of the first objective, open above v in the second. With EI(t) the expectation of max(y - t, 0), a
    strip contributes (EI1(u) - EI1(u')) EI2(v). The sum is the exact value of Emmerich, Deutz and Klinkenberg,
    "Hypervolume-based expected improvement: Monotonicity properties and exact computation", IEEE CEC 2011; logarithms
    keep far candidates apart, as in Ament et al., NeurIPS 2023.

    Args:
        means: float64 (2, n), larger is better.
        deviations: Standard deviations > 0, (2, n).
        front: Points reached so far, (m, 2); points that are dominated or do not beat the reference change nothing.
        reference: Reference point that bounds the area, (2,).

    Returns:
        float64 (n,).
    """
    front = non_dominated(front[(front > reference).all(axis=1)])
    starts = np.append(reference[0], front[:, 0])[:, None]
    floors = np.append(front[:, 1], reference[1])[:, None]
    first = log_expected_improvement(means[0], deviations[0], starts)  # (m + 1, n)
    second = log_expected_improvement(means[1], deviations[1], floors)
    with np.errstate(divide="ignore"):  # a strip may be too far away to be told from nothing
        first[:-1] += np.log(-np.expm1(np.minimum(first[1:] - first[:-1], 0.0)))
    result: Array = logsumexp(first + second, axis=0)
    return result
