"""The best combinations under a budget, against looking at all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from nasplug_darts_lp.supernet.allocation import best_within


def every(scores, costs, low, high):
    found = []
    for chosen in itertools.product(*(range(len(each)) for each in scores)):
        cost = sum(costs[layer][index] for layer, index in enumerate(chosen))
        if low <= cost <= high:
            found.append((sum(scores[layer][index] for layer, index in enumerate(chosen)), chosen))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_is_that_of_all_combinations(seed):
    rng = np.random.default_rng(seed)
    layers, options = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    scores = rng.normal(size=(layers, options)).tolist()
    costs = rng.integers(0, 64, size=(layers, options)).astype(float).tolist()
    low, high = sorted(rng.integers(0, 64 * layers, 2).astype(float).tolist())

    found = list(best_within(scores, costs, low, high, bins=max(1, int(high))))
    wanted = every(scores, costs, low, high)

    assert bool(found) == bool(wanted)
    if wanted:
        assert found[0] == wanted[0][1]
        totals = [sum(scores[layer][index] for layer, index in enumerate(chosen)) for chosen in found]
        assert totals == sorted(totals, reverse=True)
        assert len({sum(costs[layer][index] for layer, index in enumerate(chosen)) for chosen in found}) == len(found)


@pytest.mark.parametrize("seed", range(10))
def test_real_costs_stay_within_the_bounds_and_near_the_best(seed):
    rng = np.random.default_rng(100 + seed)
    scores = np.log(rng.dirichlet(np.ones(4), size=6)).tolist()
    costs = rng.random((6, 4)).tolist()

    first = next(best_within(scores, costs, 1.9, 2.1))
    total = sum(costs[layer][index] for layer, index in enumerate(first))

    assert 1.9 <= total <= 2.1
    best = every(scores, costs, 1.9 + 1e-3, 2.1 - 1e-3)
    assert sum(scores[layer][index] for layer, index in enumerate(first)) >= best[0][0]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (3.1, 9.0), (2.0, 1.0), (-2.0, -1.0)])
def test_nothing_is_given_where_nothing_fits(low, high):
    assert list(best_within([[0.0, 1.0]], [[1.0, 3.0]], low, high)) == []


def test_a_budget_of_nothing():
    assert list(best_within([[0.0, 1.0], [0.5]], [[0.0, 3.0], [0.0]], 0.0, 0.0)) == [(0, 0)]
