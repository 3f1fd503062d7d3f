import numpy as np
import pytest
from nasplug_optuna import OptunaStrategy, to_optuna
from nasplug_optuna.parameters import Parameters, _blank, distribution_of
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.ranges import Categorical, FloatRange, IntRange
from nasplug.testing.search import run_search

CHOICES = (
    nas.Choice("op", ("conv", "pool")),
    nas.Choice("units", {"low": 16, "high": 64, "step": 16}),
    nas.Choice("kernel", (3, 5, 7), when={"op": "conv"}),
    nas.Choice("drop", {"low": 0.0, "high": 0.5}, when={"op": "pool", "units": {"low": 32, "high": 64}}),
    nas.Choice("rate", {"low": 0.1, "high": 0.5, "step": 0.1}),
)


class Mixed(nas.ChoiceSpace):
    def __init__(self, choices=CHOICES):
        super().__init__("mixed", choices)

    def build(self, architecture, task):
        raise NotImplementedError


class Evaluator:
    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        made = run.space.active(trial.architecture)
        score = made["units"] / 64 - abs(made.get("drop", 1.0) - 0.3) - made["rate"]
        return nas.Evaluation({"val_acc": score + (trial.hyperparameters.get("nesterov") is True)})


def test_distributions_of_ranges_and_options():
    assert distribution_of(IntRange(16, 64, step=16)) == IntDistribution(16, 64, step=16)
    assert distribution_of(IntRange(1, 64, log=True)) == IntDistribution(1, 64, log=True)
    assert distribution_of(FloatRange(0.1, 1.0, log=True)) == FloatDistribution(0.1, 1.0, log=True)
    assert distribution_of(FloatRange(0.0, 1.0, step=0.25)) == FloatDistribution(0.0, 1.0, step=0.25)
    assert distribution_of(Categorical((True, None, 3))) == CategoricalDistribution((True, None, 3))


def test_split_and_join_know_what_is_active():
    parameters = Parameters(CHOICES, {"lr": FloatRange(1e-4, 1e-1, log=True)}, "numeric")
    assert parameters.conditional
    params = parameters.join((1, 3, 2, 0.25, 1), {"lr": 0.01})
    assert params == {"op": 1, "units": 64, "drop": 0.25, "rate": 0.2, "lr": 0.01}
    assert parameters.split(params) == ((1, 3, 0, 0.25, 1), {"lr": 0.01})
    assert parameters.join((1, 0, 2, 0.25, 0), {"lr": 0.01}) == {"op": 1, "units": 16, "rate": 0.1, "lr": 0.01}
    assert parameters.split({"op": 0, "units": 32, "kernel": 2, "rate": 0.30000000000000004, "lr": 0.0123456789}) == (
        (0, 1, 2, 0.0, 2),
        {"lr": 0.012345679},
    )


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_it_learns_numeric_and_conditional_choices(sampler):
    given = {"nesterov": [True, False], "batch": [8, 64], "kind": [1, 2, 4]}
    strategy = OptunaStrategy(sampler, hyperparameters=given)
    start = {"op": "pool", "units": 64, "drop": 0.45, "rate": 0.5}
    study = run_search(
        strategy,
        space=Mixed(),
        evaluator=Evaluator(),
        trials=120,
        seed=1,
        enqueue=[list(Mixed().architecture(start).genotype)],
    )
    for trial in study.trials[1:]:
        study.space.validate(trial.architecture)
        assert type(trial.hyperparameters["batch"]) is int
    drops = [trial.architecture.genotype[3] for trial in study.trials]
    assert None in drops
    assert any(isinstance(drop, float) for drop in drops)
    value = [np.mean([t.values["val_acc"] for t in part]) for part in (study.trials[1:41], study.trials[-40:])]
    assert sampler == "random" or value[1] > value[0] + 0.3
    shown = to_optuna(study)
    assert "kernel" not in shown.trials[0].params
    assert shown.trials[0].params["drop"] == 0.45


def test_every_combination_of_a_conditional_space_is_walked_once():
    space = Mixed(CHOICES[:3])
    study = run_search(OptunaStrategy("brute_force"), space=space, evaluator=_Any(), trials=100, batch=1)
    assert {trial.architecture for trial in study.trials} == set(space)
    assert len(study.trials) == space.size() == 16


class _Any:
    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        return nas.Evaluation({"val_acc": float(len(trial.architecture.key))})


def test_a_grid_takes_integers_and_steps_and_refuses_continuous_ranges():
    parameters = Parameters((CHOICES[1], CHOICES[4]), {"n": IntRange(1, 3)}, "numeric")
    assert parameters.grid(100, where="grid") == {
        "units": [16, 32, 48, 64],
        "rate": [0.1, 0.2, 0.3, 0.4, 0.5],
        "n": [1, 2, 3],
    }
    with pytest.raises(SpecError, match=r"'drop' has endlessly many values(.|\n)*step"):
        Parameters(CHOICES, {}, "numeric").grid(100, where="grid")
    with pytest.raises(SpecError, match="exceeds the limit of 100"):
        Parameters((nas.Choice("a", IntRange(0, 10**12)),), {}, "numeric").grid(100, where="grid")


def test_ranges_are_held_at_their_values():
    parameters = Parameters(CHOICES, {}, "numeric")
    assert parameters.fixed({"units": 32, "op": "pool"}, where="x") == {"units": 32, "op": 1}
    with pytest.raises(SpecError, match=r"'units' at 33(.|\n)*16..64"):
        parameters.fixed({"units": 33}, where="x")


def test_inactive_choices_have_the_entry_that_every_vector_of_the_space_may_have():
    """Of a range of real numbers 0 may lie outside; positions among options or steps always start at 0."""
    for options, blank in (
        ({"low": 0.5, "high": 2.0}, 0.5),
        ({"low": 0.5, "high": 2.0, "step": 0.5}, 0),
        ({"low": 16, "high": 64, "step": 16}, 0),
        (("a", "b"), 0),
    ):
        assert _blank(nas.Choice("a", options)) == blank
