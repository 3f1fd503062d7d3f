"""Intervals of means, and p values corrected for the number of comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from scipy import stats


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Corrected p values, by what they belong to (Holm, Scandinavian Journal of Statistics 6, 1979).

    Args:
        values: One p value for each comparison.

    Returns:
        The probability that one of as many comparisons would look like that by chance, in the order of `values`.

    >>> holm({"a": 0.04, "b": 0.01, "c": 0.03})
    {'a': 0.06, 'b': 0.03, 'c': 0.06}
    """
    found: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(values, key=lambda name: values[name])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[name]))
        found[name] = largest
    return {name: found[name] for name in values}


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and 95 % interval of Student's t; its ends are None for a single value."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}
