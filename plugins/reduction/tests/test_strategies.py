"""The strategies: budgets are met, the course is right, and runs resume."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import pytest
from nasplug_reduction import ReductionSpace
from nasplug_reduction.strategies.greedy import Greedy
from nasplug_reduction.strategies.uniform import Uniform

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance


def space():
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))


class Wide:
    """Scores the share of channels that is left, the first group counting most."""

    objectives: ClassVar = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        widths = run.space.widths(run.trial.architecture)
        weights = {"0": 4.0, "3.conv1": 1.0, "4.conv1": 2.0}
        return nas.Evaluation({"score": sum(weights[name] * width for name, width in widths.items()) / 84})


class TestGreedy(StrategyConformance):
    trials = 14
    stochastic = False

    def make_space(self):
        return space()

    def make_strategy(self):
        return Greedy(0.3, steps=4, candidates=3, final_epochs=1)


class TestUniform(StrategyConformance):
    trials = 12
    stochastic = False

    def make_space(self):
        return space()

    def make_strategy(self):
        return Uniform(0.2, sizes=11, final_epochs=1)


def run(strategy, **options):
    return nas.search(space=space(), strategy=strategy, evaluator=Wide(), trials=200, **options)


def roles(study):
    return [trial.proposal.info["role"] for trial in study.trials]


def test_uniform_uses_up_its_budget():
    study = run(Uniform(0.5, sizes=2))
    assert roles(study) == ["original", "step", "uniform"]
    reduction = study.space
    original, larger, last = (reduction.params(trial.architecture) for trial in study.trials)
    assert 0.45 * original < last <= 0.5 * original
    assert 0.66 * original < larger <= 0.71 * original
    widths = list(reduction.widths(study.trials[-1].architecture).values())
    assert max(widths) - min(widths) <= 1


def test_greedy_cuts_what_matters_least():
    study = run(Greedy(0.5, steps=3, final_epochs=2, step_epochs=1))
    assert roles(study)[0] == "original"
    assert roles(study)[-2:] == ["found", "uniform"]
    found, uniform = study.trials[-2:]
    reduction = study.space
    original = reduction.params(reduction.full)
    assert reduction.params(found.architecture) <= 0.5 * original
    assert found.metrics["score"] > uniform.metrics["score"]
    # The found network goes on from the last step, and the uniform one is trained as long in all.
    steps = [trial for trial in study.trials if trial.proposal.info["role"] == "step"]
    assert found.proposal.inherits.trial == steps[-1].number
    assert study.budget_of(found).epochs == 2
    assert study.budget_of(uniform).epochs == 2 + len(steps)


def test_every_step_keeps_to_its_budget():
    study = run(Greedy(0.4, steps=4))
    reduction = study.space
    original = reduction.params(reduction.full)
    last = {}
    for trial in study.trials:
        if trial.proposal.info["role"] == "step":
            last[trial.proposal.info["step"]] = reduction.params(trial.architecture)
    for step, params in last.items():
        assert params <= original * 0.4 ** (step / 4)


def test_multiply_accumulates_are_a_budget_too():
    study = run(Uniform({"macs": 0.3}), costs=["macs"], task=Images())
    original, last = study.trials
    assert 0.25 * original.costs["macs"] < last.costs["macs"] <= 0.3 * original.costs["macs"]


def test_hardware_is_a_budget_too():
    study = run(Uniform(at_most={"npu/latency_s": 1e-4}), target="npu:wu32", costs=["target"], task=Images())
    original, last = study.trials
    assert last.costs["npu/latency_s"] <= 1e-4 < original.costs["npu/latency_s"]


class Images:
    """A task that says the shape of the images, for costs."""

    input_shape, outputs, objectives = (3, 16, 16), 10, MappingProxyType({"val_acc": "max"})

    def datamodule(self):
        raise NotImplementedError

    def module(self, network, hyperparameters):
        raise NotImplementedError

    def check_hyperparameters(self, names):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there is no budget"),
        ({"keep": 1.5}, "keep of params must lie between 0 and 1, got 1.5"),
        ({"keep": {"macs": 0}}, "keep of macs must lie between 0 and 1, got 0"),
        ({"at_most": {"params": -1}}, "at_most of params must be a finite number > 0, got -1"),
        ({"keep": 0.5, "final_epochs": -1}, "final_epochs must be >= 0, got -1"),
    ],
)
def test_budgets_are_checked(arguments, message):
    with pytest.raises(SpecError, match=message):
        Uniform(**arguments)


def test_a_budget_below_the_smallest_network_is_refused():
    with pytest.raises(SpecError, match=r"(?s)no network of the space has params <= .*the smallest one has"):
        run(Uniform(0.01))


def test_a_space_of_another_kind_is_refused():
    with pytest.raises(SpecError, match="needs a space with the capability Reduces"):
        nas.search(space="qnas.conv", strategy=Uniform(0.5), evaluator=Wide(), trials=1)


def test_numbers_of_steps_are_checked():
    with pytest.raises(SpecError, match=r"reduction\.greedy"):
        Greedy(0.5, steps=0)
