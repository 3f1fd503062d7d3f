"""Ranking by several objectives, which published Q-NAS does not have."""

from __future__ import annotations

import numpy as np

from nasplug.builtin.ranking import crowding_distance
from nasplug_qnas.algorithm.arrays import FloatArray, IntArray


def by_fronts(fitness: FloatArray) -> IntArray:
    """Order of individuals, best first: by non-dominated front, then by descending crowding distance inside it.

    As in NSGA-II (Deb et al., IEEE Transactions on Evolutionary Computation 6(2), 2002). Ties keep the order given.

    Args:
        fitness: Larger is better, (M, K).

    Returns:
        Indices (M,).
    """
    import moocore

    if not len(fitness):
        return np.zeros(0, dtype=np.int64)
    ranks = np.asarray(moocore.pareto_rank(fitness, maximise=True))
    crowding = np.zeros(len(fitness))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        crowding[members] = crowding_distance(fitness[members])
    return np.lexsort((np.arange(len(fitness)), -crowding, ranks)).astype(np.int64)
