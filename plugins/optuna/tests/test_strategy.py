"""The bridge carries everything across, and changes nothing on the way."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import optuna
import pytest
from nasplug_optuna import OptunaStrategy, to_optuna
from nasplug_optuna.parameters import Parameters
from nasplug_optuna.samplers import SamplerRecipe, sampler_classes
from nasplug_optuna.strategy import CMAES, GP, NSGA2, TPE, BruteForce, Grid
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from nasplug.contract.errors import MissingExtraError, NasplugError, SpecError, UnknownNameError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import Choice
from nasplug.contract.ranges import FloatRange, IntRange
from nasplug.ledger.ledger import Ledger
from nasplug.spaces.choices import ChoiceSpace
from nasplug.testing import Interrupted, SyntheticCost, SyntheticEvaluator, SyntheticSpace, outcome, run_search
from nasplug.testing.synthetic import accuracy


class Depths(ChoiceSpace):
    """One choice of every sort."""

    def __init__(self):
        super().__init__(
            "depths",
            [
                Choice("kernel", (3, 5, 7)),
                Choice("falling", (0.5, 0.25, 0.0)),
                Choice("mixed", (1, 4, 2)),
                Choice("flag", (False, True)),
                Choice("binary", (0, 1)),
                Choice("only", ("x",)),
            ],
        )

    def build(self, architecture, task):
        raise NotImplementedError


# -- the sampler proposes what it would propose in Optuna --------------------------------------------------------------


@pytest.mark.parametrize("name", ["TPESampler", "NSGAIISampler", "RandomSampler"])
def test_the_trials_are_those_of_optuna_alone(name):
    options = {"population_size": 8} if name == "NSGAIISampler" else {}
    study = run_search(OptunaStrategy(name, options), objectives={"val_acc": "max"}, trials=40, epochs=9, batch=1)
    seed = int(Ledger.of(seed=0).view.rng("optuna").integers(2**31))
    alone = optuna.create_study(direction="maximize", sampler=getattr(optuna.samplers, name)(**options, seed=seed))

    def objective(trial):
        return accuracy(tuple(trial.suggest_categorical(f"position{i}", range(4)) for i in range(6)), 9)

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    alone.optimize(objective, n_trials=40)
    optuna.logging.set_verbosity(before)
    ours = [study.space.vector(trial.architecture) for trial in study.trials]
    assert ours == [tuple(trial.params.values()) for trial in alone.trials]


def test_learning_samplers_beat_random():
    def best(strategy):
        searches = [
            run_search(strategy(), objectives={"val_acc": "max"}, trials=60, seed=seed, batch=1) for seed in range(5)
        ]
        return sum(study.best.values["val_acc"] for study in searches) / len(searches)

    random = best(lambda: OptunaStrategy("random"))
    assert best(TPE) > random + 0.01
    assert best(lambda: NSGA2(population_size=10)) > random


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_another_process_proposes_the_same(sampler):
    program = (
        "import json, sys; from nasplug.testing import run_search; from nasplug_optuna import OptunaStrategy; "
        "study = run_search(OptunaStrategy(sys.argv[1]), trials=30, constraints=['params <= 300']); "
        "print(json.dumps([t.architecture.genotype for t in study.trials]))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program, sampler],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(answers) == 1
    assert len(json.loads(answers.pop())) == 30


@pytest.mark.slow  # a second per fit; `nasplug test-plugin optuna` runs the whole conformance suite
@pytest.mark.parametrize("objectives", [{"val_acc": "max"}, {"val_acc": "max", "params": "min"}])
def test_the_gaussian_process_resumes_exactly(tmp_path, objectives):
    pytest.importorskip("torch")

    def search(**more):
        return run_search(
            GP(n_startup_trials=3), objectives=objectives, constraints=["params <= 900"], trials=6, batch=2, **more
        )

    with pytest.raises(Interrupted):
        search(storage=tmp_path / "s.sqlite", stop_after=5)
    resumed = search(storage=tmp_path / "s.sqlite")
    assert outcome(resumed) == outcome(search(shuffle=1))
    assert {trial.proposal.info["optuna"] for trial in resumed.trials} == set(range(6))


# -- what Optuna is told -----------------------------------------------------------------------------------------------


def told(strategy, **options):
    """Optuna's trials of a search, beside nasplug's."""
    study = run_search(strategy, **options)
    return study, strategy._optuna.get_trials()


def test_states_values_courses_and_constraints_are_told():
    study, trials = told(
        TPE(n_startup_trials=5),
        evaluator=SyntheticEvaluator(failing=0.2, halting=0.2),
        objectives={"val_acc": "max"},
        constraints=["units <= 8", "val_acc >= 0.7"],
        costs={"units": SyntheticCost()},
        trials=40,
    )
    expected = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    assert {trial.state for trial in study.trials} == set(expected)
    for ours, theirs in zip(study.trials, trials, strict=True):
        assert theirs.state is expected[ours.state]
        if ours.costs:
            assert theirs.constraints["units <= 8"] == (ours.costs["units"] - 8) / 8
        if ours.state == "complete":
            assert theirs.values == [ours.values["val_acc"]]
            assert theirs.constraints["val_acc >= 0.7"] == (0.7 - ours.values["val_acc"]) / 0.7
        if ours.state == "pruned":
            assert theirs.intermediate_values == {m.step: m.metrics["val_acc"] for m in ours.measurements}


def test_directions_and_several_values_are_told():
    study, trials = told(NSGA2(population_size=8), objectives={"params": "min", "val_acc": "max"}, trials=20)
    assert [direction.name for direction in to_optuna(study).directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [trial.values for trial in trials] == [[t.values["params"], t.values["val_acc"]] for t in study.trials]


def test_a_bound_of_zero_does_no_harm():
    study, trials = told(TPE(), constraints=["params <= 0"], trials=15)
    assert not study.candidates()
    assert trials[3].constraints == {"params <= 0": study.trials[3].values["params"]}


def test_running_trials_are_running_in_optuna():
    strategy = TPE()
    study = Ledger.of(SyntheticSpace(), run_search("random", trials=1).objectives).view
    strategy.propose(study, 3)
    assert [trial.state for trial in strategy._optuna.get_trials()] == [TrialState.RUNNING] * 3


def test_enqueued_trials_are_learnt_from():
    best = [["wide", "middle"] * 3, ["middle", "wide"] * 3]
    study, trials = told(TPE(n_startup_trials=1), enqueue=best, trials=12, batch=1)
    assert [tuple(trial.params.values()) for trial in trials[:2]] == [(3, 2) * 3, (2, 3) * 3]
    assert len(trials) == 12
    assert [trial.values[0] for trial in trials] == [trial.values["val_acc"] for trial in study.trials]


def test_an_enqueued_trial_without_a_tuned_hyperparameter_is_not_made_up():
    genotypes = [["wide"] * 6, ["skip"] * 6]
    study, trials = told(TPE(hyperparameters={"lr": [0.1, 1.0]}), enqueue=genotypes, trials=8)
    assert len(study.trials) == 8
    assert len(trials) == 6


def test_cmaes_sees_infeasible_trials_as_failed():
    pytest.importorskip("cmaes")
    study, trials = told(CMAES(), constraints=["params <= 200"], objectives={"val_acc": "max"}, trials=30)
    infeasible = [trial.number for trial in study.trials if study.violation(trial) > 0]
    assert infeasible
    assert [trial.number for trial in trials if trial.state is TrialState.FAIL] == infeasible


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [Grid, BruteForce])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_search_ends_when_everything_was_proposed(strategy, batch):
    study = run_search(strategy(), space=SyntheticSpace(length=2), trials=60, batch=batch)
    assert {trial.architecture for trial in study.trials} == set(SyntheticSpace(length=2))
    assert 16 <= len(study.trials) < 16 + batch


@pytest.mark.parametrize("strategy", [Grid, BruteForce])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 30])
def test_everything_is_proposed_once_whatever_is_in_flight(strategy, batch):
    study = run_search(strategy(), space=SyntheticSpace(length=2), trials=60, batch=batch)
    keys = [trial.architecture.key for trial in study.trials]
    assert len(keys) == len(set(keys)) == SyntheticSpace(length=2).size()


def test_a_grid_has_an_upper_size():
    with pytest.raises(SpecError, match=r"a grid of size 2.68e\+08 exceeds"):
        run_search(Grid(), space=SyntheticSpace(length=14), trials=5)


def test_a_grid_needs_discrete_hyperparameters():
    with pytest.raises(SpecError, match="'lr' has endlessly many values"):
        run_search(Grid(hyperparameters={"lr": [0.1, 1.0]}), trials=5)
    study = run_search(
        Grid(hyperparameters={"layers": [1, 3, "int"]}), space=SyntheticSpace(length=1), trials=20, batch=1
    )
    assert len({(t.architecture.key, t.hyperparameters["layers"]) for t in study.trials}) == len(study.trials) == 12


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ordered", "numbers"),
    [("none", set()), ("numeric", {"kernel", "falling"}), ("all", {choice.name for choice in Depths().choices})],
)
def test_which_choices_have_an_order(ordered, numbers):
    parameters = Parameters(Depths().choices, {}, ordered)
    found = {name for name, value in parameters.distributions.items() if isinstance(value, IntDistribution)}
    assert found == numbers
    assert parameters.distributions["kernel"] in (IntDistribution(0, 2), CategoricalDistribution((0, 1, 2)))


def test_parameters_split_and_join():
    tuned = {"lr": FloatRange(1e-4, 0.1, log=True), "kernel": IntRange(1, 9)}
    parameters = Parameters(Depths().choices, tuned, "numeric")
    params = parameters.join((2, 0, 1, 1, 0, 0), {"lr": 0.01, "kernel": 4})
    assert params["kernel"] == 2
    assert params["kernel (training)"] == 4
    assert parameters.split(params) == ((2, 0, 1, 1, 0, 0), {"lr": 0.01, "kernel": 4})
    assert parameters.join((0,) * 6, {"lr": 0.01}) is None
    assert parameters.join((0,) * 6, {"lr": 1.0, "kernel": 4}) is None
    assert parameters.join((0,) * 6, {"lr": True, "kernel": 4}) is None
    assert parameters.split({**params, "lr": 0.0123456789})[1]["lr"] == 0.012345679
    assert parameters.split({**params, "lr": 0.1})[1]["lr"] == 0.1


def test_hyperparameters_are_proposed_and_learnt():
    class Tuned(SyntheticEvaluator):
        objectives = {"val_acc": "max"}  # noqa: RUF012

        @hookimpl
        def evaluate(self, run):
            trial = run.trial
            answer = super().evaluate(run)
            return type(answer)({"val_acc": 1.0 - abs(trial.hyperparameters["x"] - 0.25)})

    strategy = TPE(hyperparameters={"x": [0.0, 1.0], "scheme": ["a", "b"], "width": [4, 64, "int", "log"], "fixed": 7})
    assert strategy.hyperparameters == ("fixed", "scheme", "width", "x")
    study = run_search(strategy, evaluator=Tuned(), trials=60)
    late = [abs(trial.hyperparameters["x"] - 0.25) for trial in study.trials[-20:]]
    early = [abs(trial.hyperparameters["x"] - 0.25) for trial in study.trials[:20]]
    assert sum(late) < sum(early) / 2
    assert {trial.hyperparameters["fixed"] for trial in study.trials} == {7}
    assert {trial.hyperparameters["scheme"] for trial in study.trials} == {"a", "b"}
    assert all(isinstance(trial.hyperparameters["width"], int) for trial in study.trials)


@pytest.mark.parametrize(
    "value", [[1], [2, 1], [0.5, 2, "int"], [0, 1, "log"], [0, 1, "lgo"], ["a", "a"], ["1", "2"], {"low": 1}, [1, 1]]
)
def test_bad_hyperparameters_are_refused(value):
    with pytest.raises(SpecError, match=r"hyperparameters\.lr: cannot read"):
        OptunaStrategy(hyperparameters={"lr": value})


# -- samplers by name --------------------------------------------------------------------------------------------------


def test_every_public_sampler_has_a_name():
    assert set(sampler_classes()) == {
        "tpe",
        "random",
        "nsgaii",
        "nsgaiii",
        "cmaes",
        "gp",
        "qmc",
        "grid",
        "bruteforce",
        "partialfixed",
    }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tp", {}, "did you mean 'tpe'"),
        ("TPESmapler", {}, "Optuna has no sampler 'TPESmapler'"),
        ("tpe", {"n_startup_trails": 3}, "did you mean 'n_startup_trials'"),
        ("tpe", {"seed": 3}, "has no option 'seed'"),
        ("nsga2", {"crossover": "unifrom"}, "did you mean 'uniform'"),
        ("nsga2", {"population_size": 1}, "refuses its options"),
        ("nsga2", {"crossover": {"uniform": {"swapping": 2}}}, "crossover 'uniform' refuses its options"),
        ("nsga2", {"crossover": 3.0}, "refuses its options"),
        ("partial_fixed", {"fixed_params": {}, "base_sampler": "tp"}, "did you mean 'tpe'"),
        ("partial_fixed", {"fixed_params": {}, "base_sampler": {"tpe": {}, "gp": {}}}, "write NAME, or"),
        ("json.JSONDecoder", {}, "is not a sampler"),
        ("nothing.Here", {}, "cannot import"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(name, options, message):
    with pytest.raises(NasplugError, match=message):
        OptunaStrategy(name, options)


def test_a_sampler_from_elsewhere_is_named_by_its_path():
    study = run_search(OptunaStrategy("optuna.samplers.TPESampler", {"multivariate": False}), trials=15)
    assert len(study.trials) == 15


def test_fixed_options_stay_fixed():
    options = {"fixed_params": {"position2": "wide"}, "base_sampler": {"tpe": {"n_startup_trials": 4}}}
    study = run_search(OptunaStrategy("partial_fixed", options), trials=20)
    assert {trial.architecture.genotype[2] for trial in study.trials} == {"wide"}
    assert len({trial.architecture.genotype[3] for trial in study.trials}) > 1
    for fixed, message in (({"position2": "wdie"}, "did you mean 'wide'"), ({"positon2": "wide"}, "'position2'")):
        with pytest.raises(SpecError, match=message):
            run_search(OptunaStrategy("partial_fixed", {**options, "fixed_params": fixed}), trials=1)


def test_operators_of_evolution_are_named():
    recipe = SamplerRecipe("nsga2", {"crossover": {"uniform": {"swapping_prob": 0.3}}}, where="here")
    assert recipe.name == "nsgaii"
    run_search(
        OptunaStrategy("nsga2", {"population_size": 4, "crossover": {"uniform": {"swapping_prob": 0.3}}}), trials=12
    )


def test_a_missing_library_names_its_extra(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    assert GP.nasplug_examples() == []
    assert TPE.nasplug_examples() == [{}]
    with pytest.raises(MissingExtraError, match=r"nasplug-optuna\[gp\]"):
        GP()


def test_several_objectives_where_there_is_one():
    pytest.importorskip("cmaes")
    with pytest.raises(SpecError, match="cannot search this"):
        run_search(CMAES(), objectives={"val_acc": "max", "params": "min"}, trials=5)


def test_slugs_take_options_of_the_sampler_from_a_specification():
    study = run_search({"optuna.nsga2": {"population_size": 4, "hyperparameters": {"lr": [0.1, 1.0]}}}, trials=9)
    assert set(study.trials[0].hyperparameters) == {"lr"}
    with pytest.raises(UnknownNameError, match="population_size"):
        run_search({"optuna.nsga2": {"populaton_size": 4}}, trials=9)
    run_search({"optuna": {"sampler": "qmc", "ordered": "all"}}, trials=4)


def test_optuna_is_silent_and_its_level_is_restored(caplog, recwarn):
    before = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.DEBUG):
        run_search(TPE(multivariate=True, group=True), trials=14)
    optuna.logging.disable_propagation()
    assert [record for record in caplog.records if record.name.startswith("optuna")] == []
    assert [str(warning.message) for warning in recwarn] == []
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    ("sampler", "ordered", "expected"),
    [
        *(("tpe", None, "numeric"), ("tpe", "all", "all"), ("tpe", "numeric", "numeric")),
        *(("cmaes", None, "all"), ("qmc", "numeric", "numeric")),
    ],
)
def test_how_choices_are_presented_is_the_users_or_the_samplers(sampler, ordered, expected):
    assert OptunaStrategy(sampler, ordered=ordered).ordered == expected
