"""How much each choice and hyperparameter says about an objective.

The measure is the epsilon squared of the Kruskal-Wallis test (Tomczak and Tomczak 2014; the correction is Kelley's,
1935): the share of the variance of the objective's ranks that the groups of equal values explain, corrected for what
groups explain by chance. It is the first-order effect of a functional analysis of variance, on ranks, so that a few
diverged trainings do not decide it, and without a model in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Numbers with more values than this are cut into as many groups of equal size.
GROUPS = 8
#: Number of trials below which nothing is said.
LEAST = 12


def importance(values: NDArray[np.float64], objective: NDArray[np.float64], *, ordered: bool) -> float | None:
    """Returns the share of the objective's variance, in ranks, that a choice explains: 0 to 1.

    Args:
        values: Value of the choice in each trial, float64 (trials,); positions of options, or numbers. NaN where the
            choice is not made, which counts as a value of its own.
        objective: Objective of each trial, float64 (trials,), without NaN.
        ordered: Whether the values are numbers, so that neighbours may share a group.

    Returns:
        The share, or None with too few trials, one value only, or hardly a value that occurs twice.
    """
    groups = _groups(values, ordered=ordered)
    count, number = len(objective), int(groups.max(initial=-1)) + 1
    if count < LEAST or number < 2 or count - number < number:
        return None
    ranks = _ranks(objective)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if total == 0:
        return None
    sizes = np.bincount(groups, minlength=number)
    means = np.bincount(groups, weights=ranks, minlength=number) / sizes
    between = float((sizes * (means - ranks.mean()) ** 2).sum())
    within = (total - between) / (count - number)  # variance inside the groups
    return max(0.0, min(1.0, (between - (number - 1) * within) / total))


def _groups(values: NDArray[np.float64], *, ordered: bool) -> NDArray[np.intp]:
    """Number of the group of every trial, int (trials,), without gaps."""
    missing = np.isnan(values)
    codes = np.full(len(values), -1, dtype=np.intp)
    present = values[~missing]
    distinct, inverse = np.unique(present, return_inverse=True)
    if ordered and len(distinct) > GROUPS:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, GROUPS + 1)[1:-1]))
        inverse = np.searchsorted(edges, present, side="right")
    codes[~missing] = inverse
    found: NDArray[np.intp] = np.unique(codes, return_inverse=True)[1].astype(np.intp)
    return found


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, float64 (trials,); equal values share the middle of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: NDArray[np.float64] = ends - (counts - 1) / 2
    return middle[inverse]
