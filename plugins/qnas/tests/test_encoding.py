import numpy as np
import pytest
from nasplug_qnas import encoding as module
from nasplug_qnas.algorithm import Candidate
from nasplug_qnas.spaces import ConvSpace
from nasplug_qnas.strategy import QNAS

import nasplug as nas
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.ranges import Categorical, FloatRange, IntRange
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug.testing.search import run_search

CHOICES = (
    nas.Choice("op", ("conv", "pool"), (0.75, 0.25)),
    nas.Choice("units", {"low": 16, "high": 64, "step": 16}),
    nas.Choice("kernel", (3, 5, 7), when={"op": "conv"}),
    nas.Choice("drop", {"low": 0.0, "high": 0.5}, when={"op": "pool"}),
)


class Mixed(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("mixed", CHOICES)

    def build(self, architecture, task):
        raise NotImplementedError


def test_listed_options_are_genes_and_ranges_are_pulses():
    searched = {
        "lr": FloatRange(1e-4, 1e-1, log=True),
        "optimizer": Categorical(("adam", "sgd")),
        "units": IntRange(1, 3),
    }
    encoding = module.Encoding(CHOICES, searched)
    assert encoding.sizes == [2, 3, 2]
    assert encoding.initial[0] == (0.75, 0.25)
    assert set(encoding.ranges) == {"space/units", "space/drop", "lr", "units"}
    numbers = {"space/units": 48, "space/drop": 0.25, "lr": 0.01, "units": 2}
    candidate = Candidate((1, 2, 1), numbers, 0)
    assert encoding.vector(candidate) == [1, 2, 2, 0.25]
    assert encoding.hyperparameters(candidate) == {"lr": 0.01, "units": 2, "optimizer": "sgd"}
    assert encoding.flags(lambda option: option == "pool", 4) == [[False, True], [False] * 3, [False] * 2]


def test_a_space_of_numbers_alone_has_a_constant_gene():
    encoding = module.Encoding(CHOICES[1:2], {})
    assert (encoding.sizes, encoding.flags(bool, 1)) == ([1], [[False]])
    assert encoding.vector(Candidate((0,), {"space/units": 64}, 0)) == [3]
    assert encoding.hyperparameters(Candidate((0,), {"space/units": 64}, 0)) == {}


class Evaluator:
    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        made = run.space.active(trial.architecture)
        score = made["units"] / 64 - abs(made.get("drop", 1.0) - 0.3) + (trial.hyperparameters["nesterov"] is True)
        return nas.Evaluation({"val_acc": score - abs(trial.hyperparameters["batch"] - 24) / 32})


def test_it_learns_numeric_and_conditional_choices_and_any_hyperparameter():
    given = {"nesterov": [True, False], "batch": [8, 64], "kind": [1, 2, 4]}
    study = run_search(QNAS(hyperparameters=given), space=Mixed(), evaluator=Evaluator(), trials=300, seed=1)
    for trial in study.trials:
        study.space.validate(trial.architecture)
        assert type(trial.hyperparameters["batch"]) is int
        assert 8 <= trial.hyperparameters["batch"] <= 64
        assert trial.hyperparameters["kind"] in (1, 2, 4)
    first, last = study.trials[:60], study.trials[-60:]
    value = [np.mean([trial.values["val_acc"] for trial in part]) for part in (first, last)]
    assert value[1] > value[0] + 0.3
    best = study.best
    assert best.architecture.genotype[:2] == ("pool", 64)
    assert best.hyperparameters["nesterov"] is True
    assert best.architecture.genotype[3] == pytest.approx(0.3, abs=0.1)


def test_the_penalty_works_beside_hyperparameters():
    space = HyperparameterSpace(ConvSpace(nodes=6), {"lr": [1e-4, 1e-1, "log"], "flag": [True, False]})
    strategy = QNAS("cifar2022", evolution={"penalise_above": 1})
    run_search(strategy, space=space, trials=5)
    assert strategy.algorithm.settings.penalise_above == 1
