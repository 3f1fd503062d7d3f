"""Laws of memories: which of several is taken."""

from __future__ import annotations

import pytest
from nasplug_npu.constants import Constants


def row(word, area, node=45.0):
    more = {f"{name}_exponent": 0.0 for name in ("read", "write", "area", "leak")}
    return {"node_nm": node, "word_bits": word, "read": float(word), "write": 1.0, "area": area, "leak": area, **more}


@pytest.mark.parametrize(
    ("words", "nearest"), [((32, 64, 128), 64), ((8, 16, 256), 16), ((128, 256), 128), ((100, 30), 30)]
)
@pytest.mark.parametrize("quantity", ["area", "leak"])
def test_area_and_leakage_are_those_of_the_word_nearest_to_64_bits(words, nearest, quantity):
    rows = [row(word, area=1000.0 + word) for word in words]
    assert Constants({}, (), ())._at(rows, quantity, 45.0, 16.0, 8.0) == 1000.0 + nearest


def test_energy_of_a_bit_is_that_of_the_word():
    rows = [row(word, area=1.0) for word in (32, 64)]
    assert Constants({}, (), ())._at(rows, "read", 45.0, 16.0, 32.0) == pytest.approx(1.0)
