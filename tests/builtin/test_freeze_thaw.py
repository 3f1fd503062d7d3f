"""Freeze-thaw search: steps of trainings, and what the curves promise."""

from __future__ import annotations

import numpy as np
import pytest

from nasplug.builtin.curves import Curves
from nasplug.builtin.freeze_thaw import FreezeThaw
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, SyntheticSpace, run_search


class TestFreezeThaw(StrategyConformance):
    several_objectives = False

    def make_strategy(self):
        return FreezeThaw(initial=4, candidates=10)


def test_every_step_goes_on_where_the_one_before_ended():
    study = run_search(FreezeThaw(step=2, initial=4, candidates=10), trials=40, epochs=7, batch=1)
    thawed = 0
    for trial in study.trials:
        epochs = study.budget_of(trial).epochs
        assert trial.proposal.budget.total == 7
        if trial.proposal.parent is None:
            assert epochs == 2
        else:
            before = study.trial(trial.proposal.parent)
            assert epochs == min(study.budget_of(before).epochs + 2, 7)
            assert before.architecture == trial.architecture
            thawed += 1
    assert thawed > 10
    parents = [trial.proposal.parent for trial in study.trials if trial.proposal.parent is not None]
    assert len(parents) == len(set(parents)), "a training goes on twice"


def test_whole_trainings_go_to_good_networks():
    """Of as many epochs, the best network is better than that of random search."""
    better = 0
    for seed in range(3):
        study = run_search(FreezeThaw(), space=SyntheticSpace(8), trials=80, epochs=9, seed=seed, batch=1)
        random = run_search("random", space=SyntheticSpace(8), trials=9, epochs=9, seed=seed)
        better += study.score(study.best) > random.score(random.best)
    assert better >= 2


def test_a_small_space_ends_when_all_is_trained():
    study = run_search(FreezeThaw(initial=2), space=SyntheticSpace(1), trials=100, epochs=3, batch=1)
    assert len(study.trials) == 4 * 3


def test_curves_are_continued():
    """Three curves of equal form with the limits 0.5, 0.7 and 0.9, one of them seen in its first two epochs only."""
    times = np.arange(1, 11) / 10

    def curve(limit):
        return limit - 0.3 * 0.2 / (times + 0.2)

    points = [(0, t, y) for t, y in zip(times, curve(0.5), strict=True)]
    points += [(1, t, y) for t, y in zip(times, curve(0.7), strict=True)]
    points += [(2, t, y) for t, y in zip(times[:2], curve(0.9)[:2], strict=True)]
    names, when, values = (np.array(column) for column in zip(*points, strict=True))
    features = np.eye(3)[names]
    process = Curves.fitted(features, names, when, values, np.random.default_rng(0))
    mean, deviation = process.predict(np.eye(3), np.arange(3), np.ones(3))
    assert mean == pytest.approx([curve(0.5)[-1], curve(0.7)[-1], curve(0.9)[-1]], abs=0.03)
    assert deviation[2] > 2 * deviation[0]
    _, unknown = process.predict(np.zeros((1, 3)), np.array([7]), np.ones(1))
    assert unknown[0] > 2 * deviation[2]


def test_fitting_never_makes_the_results_less_likely():
    rng = np.random.default_rng(1)
    names = np.repeat(np.arange(6), 3)
    data = np.eye(6)[names], names, np.tile([0.1, 0.2, 0.3], 6), np.repeat(rng.normal(size=6), 3)
    fitted, default = Curves.fitted(*data, rng), Curves(*data)
    assert fitted.likelihood > default.likelihood
    assert fitted.setting.noise < default.setting.noise  # each curve is flat and exact


@pytest.mark.parametrize("name", ["step", "max_epochs", "initial", "candidates"])
def test_refuses_less_than_one(name):
    with pytest.raises(SpecError, match=f"{name} is 0"):
        FreezeThaw(**{name: 0})
