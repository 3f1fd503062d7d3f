"""Ranking of individuals and replacement of the survivors by newer ones.

The union of new and old individuals is always ordered *new first*, and every sort is stable. Among equal fitness the
newer generation therefore wins, and within a generation the lower index. The published code tends to the same through
an unstable sort; drifting over equally good networks keeps a search from freezing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray
from nasplug_qnas.algorithm.population import Population

#: Order of individuals, best first, from fitness values without NaN: (M,) or (M, K) -> indices (M,).
Rank: TypeAlias = Callable[[FloatArray], IntArray]
Replacement: TypeAlias = Literal["best", "elitism"]


def descending(fitness: FloatArray) -> IntArray:
    """Default ranking of a scalar fitness: largest first, ties in the order given.

    Raises:
        SpecError: If there is more than one objective; a ranking for those must be passed in.
    """
    if fitness.ndim != 1:
        raise SpecError(
            f"the fitness has {plural(fitness.shape[1], 'objective')}, which the default ranking cannot order",
            where="Q-NAS",
            fix="give `rank`, a function from fitness (M, K) to an order (M,), best first",
        )
    return np.argsort(-fitness, kind="stable").astype(np.int64)


def order_with_failures(fitness: FloatArray, failed: BoolArray, rank: Rank = descending) -> IntArray:
    """Order of individuals, best first; the failed ones come last in the order given, whatever the others' fitness."""
    measured = np.flatnonzero(~failed)
    return np.concatenate([measured[rank(fitness[measured])], np.flatnonzero(failed)]).astype(np.int64)


def best_survive(new: Population, old: Population, rank: Rank = descending) -> Population:
    """Truncation selection (mu + lambda): the best N of new and old together, in order of rank.

    Fitness values of old individuals are reused, not measured again.
    """
    union = new.followed_by(old)
    return union.take(order_with_failures(union.penalised, union.failed, rank)[: len(old)])


def elite_survives(new: Population, old: Population, rank: Rank = descending) -> Population:
    """Generational replacement with one elite: the best old individual and the best N - 1 new ones, best first."""
    elite = order_with_failures(old.penalised, old.failed, rank)[:1]
    followers = order_with_failures(new.penalised, new.failed, rank)[: len(old) - 1]
    chosen = new.take(followers).followed_by(old.take(elite))
    return chosen.take(order_with_failures(chosen.penalised, chosen.failed, rank))


REPLACEMENTS: dict[Replacement, Callable[[Population, Population, Rank], Population]] = {
    "best": best_survive,
    "elitism": elite_survives,
}
