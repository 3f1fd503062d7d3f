"""Intervals in which 95 % of repetitions would see a value: of shares of samples, and of trainings with other seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

Interval = tuple[float, float]

#: 97.5 % quantile of the normal distribution, and of Student's for up to ten degrees of freedom.
_Z = 1.959964
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def share(value: float, samples: int) -> Interval:
    """Returns Wilson's interval of a share of samples (Wilson 1927).

    Args:
        value: The share, 0 to 1.
        samples: Number of samples.
    """
    squared = _Z * _Z / samples
    middle = (value + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * math.sqrt(value * (1 - value) / samples + squared / (4 * samples))
    return max(0.0, middle - half), min(1.0, middle + half)


def share_difference(one: float, other: float, samples: int) -> Interval:
    """Returns the interval of the difference of two shares (Newcombe 1998, method 10).

    Both are taken as of samples of their own. Two networks that are wrong about the same samples differ by less than
    that, so that the interval is rather too wide.

    Args:
        one: Share that the difference begins with.
        other: Share that is subtracted.
        samples: Number of samples of each.
    """
    (low, high), (under, over) = share(one, samples), share(other, samples)
    below = math.hypot(one - low, over - other)
    above = math.hypot(high - one, other - under)
    return one - other - below, one - other + above


def repeated_difference(values: Sequence[float], other: float) -> Interval:
    """Returns the interval of the difference of a mean over seeds and one training, which is taken to vary as much.

    Args:
        values: Values of two trainings or more that differ in their seeds.
        other: Value of one training, which is subtracted.
    """
    count = len(values)
    half = _student(count - 1) * stdev(values) * math.sqrt(1 / count + 1)
    middle = fmean(values) - other
    return middle - half, middle + half


def _student(degrees: int) -> float:
    """97.5 % quantile of Student's distribution; beyond ten degrees as in Abramowitz and Stegun 26.7.5."""
    if degrees <= len(_T):
        return _T[degrees - 1]
    first, second = (_Z**3 + _Z) / 4, (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    third = (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384
    return _Z + first / degrees + second / degrees**2 + third / degrees**3
