"""Breeding: every network uses up the budget; any strategy works on the space."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_reduction import ReductionSpace
from nasplug_reduction.breeding import fitting
from nasplug_reduction.pricing import Pricer
from nasplug_reduction.strategies.evolution import Evolution

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance


def space():
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))


class Narrow:
    """Likes one group wide, and the others narrow."""

    objectives = None

    def __init__(self):
        self.objectives = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        widths = run.space.widths(run.trial.architecture)
        return nas.Evaluation({"score": widths.get("3.conv1", 0) - 0.5 * widths["0"]})


class TestEvolution(StrategyConformance):
    trials = 14

    def make_space(self):
        return space()

    def make_strategy(self):
        return Evolution(0.3, generations=4, children=5, final_epochs=1)


def test_networks_are_as_wide_as_limits_allow():
    reduction = space()
    pricer = Pricer(reduction, None, ["params"])
    limit = 0.4 * reduction.params(reduction.full)
    found = fitting(pricer, {"params": limit}, np.array([1.0, 0.4, 0.8]), [1, 1])
    assert 0.85 * limit < reduction.params(found) <= limit
    widths = reduction.widths(found)
    assert widths["3.conv1"] < widths["4.conv1"] < widths["0"]
    assert fitting(pricer, {"params": 10}, np.ones(3), [1, 1]) is None


def test_later_generations_are_better():
    study = nas.search(
        space=space(), strategy=Evolution(0.5, generations=5, children=6), evaluator=Narrow(), trials=100
    )
    candidates = [trial for trial in study.trials if trial.proposal.info["role"] == "candidate"]
    assert len(candidates) == 30
    limit = 0.5 * study.space.params(study.space.full)
    assert all(study.space.params(trial.architecture) <= limit for trial in candidates)
    scores = [trial.metrics["score"] for trial in candidates]
    assert max(scores[6:]) > max(scores[:6])
    found = next(trial for trial in study.trials if trial.proposal.info["role"] == "found")
    assert found.metrics["score"] == max(scores)


def test_numbers_are_checked():
    with pytest.raises(SpecError, match=r"reduction\.evolution"):
        Evolution(0.5, children=0)


STRATEGIES = ["random", "regularized_evolution", "emonas", "optuna.tpe", "qnas", "bogk", "cgap.enas_s"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_strategy_searches_the_space(strategy):
    settings = {"qnas": {"preset": "strong"}, "cgap.enas_s": {"population": 4}}.get(strategy, {})
    reduction = space()
    limit = int(0.6 * reduction.params(reduction.full))
    study = nas.search(
        Images(),
        space=reduction,
        strategy=nas.component(strategy, **settings),
        evaluator=Narrow(),
        objectives={"score": "max", "params": "min"} if strategy == "emonas" else {"score": "max"},
        constraints=[f"params <= {limit}"],
        costs=["params"],
        trials=12,
        batch=2,
        rehearse=False,
    )
    assert len(study.trials) == 12
    assert {trial.state for trial in study.trials} <= {"complete", "pruned"}
    for trial in study.trials:
        assert (trial.state == "complete") == (reduction.params(trial.architecture) <= limit)


class Images:
    """A task that says the shape of the images, for costs."""

    def __init__(self):
        self.input_shape, self.outputs, self.objectives = (3, 16, 16), 10, {"val_acc": "max"}

    def datamodule(self):
        raise NotImplementedError

    def module(self, network, hyperparameters):
        raise NotImplementedError

    def check_hyperparameters(self, names):
        return None
