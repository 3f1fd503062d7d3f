"""Paired differences: intervals, tests, corrections for many comparisons, and how many seeds would decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

#: Chance of finding a difference that is there, which the number of seeds is made for.
POWER = 0.8
#: Largest number of seeds that is worth naming.
MOST = 1000


@dataclass(frozen=True)
class Paired:
    """Differences of two variants with the same seeds.

    Attributes:
        count: Number of seeds that both have a result for.
        mean: Mean difference.
        sd: Standard deviation of the differences; None for one seed.
        low: Lower end of the interval in which 95 % of repetitions would see the mean; None for one seed.
        high: Upper end of it.
        p: Chance of a difference at least as large if there were none (two-sided paired t test); None for one seed.
    """

    count: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    p: float | None


def paired(differences: Sequence[float], confidence: float = 0.95) -> Paired:
    """Describes differences, one for each seed.

    Differences that do not differ at all, such as those of a metric with few values, have an interval of no width.

    Args:
        differences: Differences; at least one.
        confidence: Share of repetitions that the interval covers.
    """
    count, mean = len(differences), fmean(differences)
    if count < 2:
        return Paired(count, mean, None, None, None, None)
    from scipy import stats

    sd = stdev(differences)
    error = sd / math.sqrt(count)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
    certain = 0.0 if mean else 1.0
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error else certain
    return Paired(count, mean, sd, mean - half, mean + half, p)


def holm(chances: Sequence[float | None]) -> list[float | None]:
    """Corrects chances of several tests (Holm 1979): with 0.05, at most one study in twenty has any false verdict.

    Args:
        chances: Chances of single tests; None where there was no test.

    Returns:
        The corrected chances, in the same order.
    """
    order = sorted((chance, position) for position, chance in enumerate(chances) if chance is not None)
    corrected: list[float | None] = [None] * len(chances)
    largest = 0.0
    for rank, (chance, position) in enumerate(order):
        largest = max(largest, min(1.0, chance * (len(order) - rank)))
        corrected[position] = largest
    return corrected


def seeds_to_decide(mean: float, sd: float | None, comparisons: int, alpha: float = 0.05) -> int | None:
    """Returns the number of seeds with which a paired t test finds a difference in four of five studies.

    The difference and its spread are taken as they were measured, and the level is that of the strictest of the
    comparisons, so that the number is rather too large.

    Args:
        mean: Mean difference.
        sd: Standard deviation of the differences over seeds; None if it is not known.
        comparisons: Number of comparisons of the study.
        alpha: Level of the study.

    Returns:
        The number, or None: more than `MOST`, or nobody can tell.
    """
    if sd is None or not mean:
        return None
    if not sd:
        return 2
    from scipy import stats

    level, effect = alpha / max(1, comparisons), abs(mean) / sd

    def power(count: int) -> float:
        bound = stats.t.ppf(1 - level / 2, count - 1)
        found = float(stats.nct.sf(bound, count - 1, effect * math.sqrt(count)))
        return 1.0 if math.isnan(found) else found

    low, high = 2, 2
    while power(high) < POWER:
        low, high = high, high * 2
        if low >= MOST:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle + 1, high)
    return high if high <= MOST else None
