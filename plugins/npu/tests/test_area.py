"""The area model against the samples that come with the package."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu import area, preset
from nasplug_npu.area_model import array_fit, features, fit, samples
from nasplug_npu.sweeping import grid


def test_the_regression_holds_for_samples_it_has_not_seen():
    found = array_fit()
    assert len(samples("array")) == 40
    assert found.mape <= 0.05
    assert abs(found.error.mean()) < 0.02


def test_a_fit_finds_coefficients_that_are_there():
    rng = np.random.default_rng(0)
    sizes = 2.0 ** rng.integers(0, 5, (4, 60))
    matrix, truth = features(*sizes), np.array([14.0, 3.0, 90.0, 300.0, 20.0])
    found = fit(matrix, matrix @ truth)
    np.testing.assert_allclose(found.coefficients, truth, rtol=1e-6)
    assert found.mape < 1e-6


def test_larger_units_are_larger():
    base = preset("wu32")
    start = area(base).total_mm2
    for changes in ({"macs": 64}, {"weight_kb": 32}, {"window": 16}, {"ppu_per_cycle": 8}, {"acc_bits": 48}):
        assert area(base.replace(**changes)).total_mm2 > start
    for changes in ({"precision": "none"}, {"sparsity": "none"}, {"shapes": "fixed:8x4x1"}, {"node_nm": 22}):
        assert area(base.replace(**changes)).total_mm2 < start
    order = [area(base.replace(precision=mode)).logic_mm2 for mode in ("none", "symmetric", "full2d")]
    assert order == sorted(order)


def test_parts_add_up_and_points_agree_with_one():
    found = area(preset("wu32"))
    assert found.total_mm2 == found.logic_mm2 + found.memory_mm2
    assert found.logic_mm2 == pytest.approx(sum(found.gates.values()) * 0.798e-6)
    assert 0 < found.sigma_mm2 < found.logic_mm2
    (points,) = grid(preset("wu32"), {"macs": [16, 32, 64], "weight_kb": [8, 16], "node_nm": [45, 65]})
    together = area(points)
    for place in range(len(points)):
        assert together.total_mm2[place] == pytest.approx(area(points.config(place)).total_mm2)
