"""The share of variance that a choice explains, against what it must be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nasplug.report.importance import importance


def test_a_choice_that_decides_everything_explains_everything():
    values = np.repeat([0.0, 1.0, 2.0], 40)
    assert importance(values, values * 5, ordered=False) == pytest.approx(1.0)


def test_noise_explains_nothing_on_average():
    rng = np.random.default_rng(0)
    found = [importance(rng.integers(0, 5, 60).astype(float), rng.normal(size=60), ordered=False) for _ in range(300)]
    assert np.mean(found) < 0.035  # without the correction: 4/59, and more as it is cut at zero
    assert np.median(found) < 0.02


def test_it_is_epsilon_squared_of_the_kruskal_wallis_test():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    values = rng.integers(0, 4, 200).astype(float)
    objective = values + rng.normal(size=200)
    h = stats.kruskal(*[objective[values == v] for v in range(4)]).statistic
    # eta squared of ranks is H / (n - 1); Kelley's correction for 4 groups
    eta = h / 199
    assert importance(values, objective, ordered=False) == pytest.approx(1 - (1 - eta) * 199 / 196)


def test_additive_effects_share_the_variance():
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    objective = 3.0 * a + b + rng.normal(0, 1e-3, 4000)
    strong, weak = (importance(x.astype(float), objective, ordered=False) for x in (a, b))
    assert strong == pytest.approx(0.8, abs=0.06)
    assert weak == pytest.approx(0.2, abs=0.06)


def test_numbers_are_grouped_and_outliers_do_not_decide():
    rng = np.random.default_rng(2)
    rate = rng.uniform(size=400)
    objective = np.sin(3 * rate) + rng.normal(0, 0.05, 400)
    found = importance(rate, objective, ordered=True)
    assert found > 0.75
    objective[:3] = 1e30
    assert importance(rate, objective, ordered=True) == pytest.approx(found, abs=0.05)


def test_a_choice_that_is_not_made_is_a_value():
    values = np.array([math.nan, 1.0] * 50)
    assert importance(values, np.array([0.0, 1.0] * 50), ordered=True) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "objective"),
    [
        (np.arange(5.0), np.arange(5.0)),  # too few
        (np.ones(50), np.arange(50.0)),  # one value
        (np.arange(50.0) % 3, np.ones(50)),  # one result
        (np.arange(50.0), np.arange(50.0)),  # every option once
    ],
)
def test_where_nothing_can_be_said(values, objective):
    assert importance(values, objective, ordered=False) is None
