"""Numbers and durations at the bounds between two ways to write them."""

from __future__ import annotations

import math

import pytest

from nasplug.report.formats import duration, number


@pytest.mark.parametrize(("factor", "letter"), [(1e6, "M"), (1e9, "G"), (1e12, "T")])
def test_a_number_changes_its_unit_where_it_would_be_rounded_up_to_it(factor, letter):
    smaller = {"M": "k", "G": "M", "T": "G"}[letter]
    assert number(0.9995 * factor) in (f"1 {letter}", f"0.999 {letter}")
    assert number(0.9994 * factor) == f"999 {smaller}"
    assert number(factor) == f"1 {letter}"
    assert number(-7.07 * factor) == f"-7.07 {letter}"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, "0"),
        (99_999, "99,999"),
        (99_999.5, "100 k"),
        (100_000, "100 k"),
        (9_999.4, "9999"),
        (10_000.5, "10 k"),
        (0.98714, "0.9871"),
        (1e15, "1e+15"),
        (True, "true"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
    ],
)
def test_numbers(value, wanted):
    assert number(value) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0, "<1 ms"),
        (0.001, "1 ms"),
        (1, "1.0 s"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (60, "1 min 0 s"),
        (3600, "1 h 0 min"),
        (48 * 3600, "2 d 0 h"),
        (-1, "unknown"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_durations(seconds, wanted):
    assert duration(seconds) == wanted
