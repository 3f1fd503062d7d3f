"""Intervals beside published values, and at their ends."""

from __future__ import annotations

import pytest
from scipy import stats

from nasplug.ledger.intervals import _student, repeated_difference, share, share_difference


def test_shares_as_published():
    """Newcombe 1998, Statistics in Medicine 17: 81 of 263 (first paper), and 56/70 against 48/80 (second paper, a)."""
    assert share(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert share(1.0, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "samples"), [(0.8, 0.6, 80), (0.5, 0.5, 10), (1.0, 0.0, 5), (0.97, 0.99, 300)]
)
def test_differences_are_antisymmetric_and_hold_their_value(one, other, samples):
    low, high = share_difference(one, other, samples)
    assert -1 <= low <= one - other <= high <= 1
    assert share_difference(other, one, samples) == pytest.approx((-high, -low))


def test_differences_cover_what_they_promise():
    """Exactly, by summing over all outcomes of 40 samples each: at least 93 % where both shares are 0.7 and 0.8."""
    binomials = [stats.binom(40, p).pmf(range(41)) for p in (0.8, 0.7)]
    covered = 0.0
    for a in range(41):
        for b in range(41):
            low, high = share_difference(a / 40, b / 40, 40)
            covered += binomials[0][a] * binomials[1][b] * (low <= 0.1 <= high)
    assert 0.93 < covered < 0.975


def test_students_quantiles():
    for degrees in (*range(1, 13), 30, 200):
        assert _student(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=5e-4)


def test_seeds_spread_and_equal_ones_do_not():
    low, high = repeated_difference([0.5, 0.7], 0.4)
    assert (low + high) / 2 == pytest.approx(0.2)
    assert high - low == pytest.approx(2 * 12.706 * 0.02**0.5 * 1.5**0.5, rel=1e-6)
    assert repeated_difference([0.5, 0.5, 0.5], 0.4) == pytest.approx((0.1, 0.1))
