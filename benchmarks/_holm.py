"""Correction of p values for the number of comparisons."""

from __future__ import annotations

from collections.abc import Mapping


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
