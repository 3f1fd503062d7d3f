"""Tests of `nasplug_darts_lp.supernet.schedules`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.supernet.schedules import learning_rate


def test_learning_rates():
    steps = [0.0, 0.25, 0.5, 1.0]
    assert [learning_rate("cosine", p, 1.0, 0.2) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert [learning_rate("constant", p, 0.3) for p in steps] == [0.3] * 4
    for p in steps:  # one rises as the other falls
        assert learning_rate("inverted", p, 1.0) == pytest.approx(1.0 - learning_rate("cosine", p, 1.0))
    assert learning_rate("inverted", 0.0, 1.0) == 0.0
