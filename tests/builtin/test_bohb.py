"""BOHB: brackets of Hyperband, and what the model draws."""

from __future__ import annotations

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.bohb import Bohb, _Density
from nasplug.builtin.hyperband import Hyperband
from nasplug.builtin.successive_halving import BRACKET, RUNG
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, SyntheticSpace, run_search


class TestBohb(StrategyConformance):
    def make_strategy(self):
        return Bohb(candidates=8)


def position(trial):
    return trial.proposal.info[BRACKET], trial.proposal.info[RUNG]


def test_the_brackets_are_those_of_hyperband():
    ours, theirs = (run_search(strategy, trials=60, epochs=9) for strategy in (Bohb(candidates=8), Hyperband()))
    assert [position(trial) for trial in ours.trials] == [position(trial) for trial in theirs.trials]
    assert all(trial.proposal.parent is None for trial in ours.trials if "origin" in trial.proposal.info)


def test_the_model_begins_with_enough_results_of_a_rung():
    study = run_search(Bohb(random_share=0.0), trials=60, epochs=9, batch=1)
    fresh = [trial for trial in study.trials if trial.proposal.parent is None]
    first = next(place for place, trial in enumerate(fresh) if trial.proposal.info["origin"] == "model")
    assert first == 6 + 2  # six decisions
    assert all(trial.proposal.info["origin"] == "model" for trial in fresh[first:])


def test_what_the_model_draws_is_better_than_random():
    gains = []
    for seed in range(4):
        study = run_search(Bohb(random_share=0.5), space=SyntheticSpace(8), trials=120, epochs=9, seed=seed, batch=1)
        fresh = [t for t in study.trials if t.proposal.parent is None and t.proposal.info[RUNG] == 0]
        mean = {
            origin: np.mean([study.score(t) for t in fresh if t.proposal.info["origin"] == origin])
            for origin in ("random", "model")
        }
        gains.append(mean["model"] - mean["random"])
    assert min(gains) > 0
    assert np.mean(gains) > 0.02


def test_densities_are_densities():
    choices = [nas.Choice("op", ("a", "b", "c")), nas.Choice("rate", nas.FloatRange(0.0, 1.0))]
    points = np.array([[1 / 6, 0.4], [1 / 6, 0.5], [5 / 6, 0.6]])
    density = _Density(choices, points)
    grid = np.linspace(-3.0, 4.0, 7001)
    total = sum(
        np.exp(density.logarithm(np.stack([np.full(351, option), grid[::20]], axis=1))).sum() * 0.02
        for option in (1 / 6, 0.5, 5 / 6)
    )
    assert total == pytest.approx(np.sqrt(2 * np.pi), rel=1e-3)  # the factor of the Gaussian is left out
    near, far = density.logarithm(np.array([[1 / 6, 0.45], [0.5, 0.45]]))
    assert near > far
    rng = np.random.default_rng(0)
    drawn = np.array([density.draw(rng, 1.0) for _ in range(400)])
    assert drawn[:, 1].min() >= 0
    assert drawn[:, 1].max() <= 1
    assert np.mean(drawn[:, 0] < 0.3) > 0.5


@pytest.mark.parametrize("options", [{"good": 0.0}, {"random_share": 1.1}, {"candidates": 0}, {"wider": 0.5}])
def test_refuses(options):
    with pytest.raises(SpecError, match=next(iter(options))):
        Bohb(**options)
