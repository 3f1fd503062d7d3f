"""Tests of `nasplug_darts_lp.supernet.base`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from nasplug_darts_lp.supernet.base import most_probable


def test_combinations_come_in_the_order_of_their_probability():
    factors = [[0.2, 0.5, 0.3], [0.9, 0.1], [0.25, 0.35, 0.4]]
    found = list(most_probable(factors))
    wanted = sorted(
        (-np.prod([f[i] for f, i in zip(factors, places_, strict=True)]), places_)
        for places_ in itertools.product(range(3), range(2), range(3))
    )
    assert len(found) == 18
    assert [chance for _, chance in found] == pytest.approx([-chance for chance, _ in wanted])
    assert {indices for indices, _ in found} == {indices for _, indices in wanted}
    assert found[0][0] == (1, 0, 2)
