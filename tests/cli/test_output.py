"""What commands print: JSON that every reader takes, and numbers for people."""

from __future__ import annotations

import json
import math

import pytest

from nasplug.cli import output


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, value) for value in (None, True, 0, 3, -1.5, "a", [], {})),
        *((value, None) for value in (math.nan, math.inf, -math.inf)),
        ((1, math.nan), [1, None]),
        ({"a": {"b": (math.inf,)}, 3: 2}, {"a": {"b": [None]}, "3": 2}),
        ({1}, "{1}"),
    ],
)
def test_anything_becomes_json(value, expected, capsys):
    assert output.json_safe(value) == expected
    output.print_json(value)
    assert json.loads(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "-"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")),
        *((0.0, "0"), (1234567.0, "1,234,567"), (0.123456, "0.1235"), (-2.0, "-2")),
    ],
)
def test_a_number_for_people(value, text):
    assert output.number(value) == text
