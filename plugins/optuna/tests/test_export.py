"""Studies for Optuna: read back with Optuna, they say what nasplug's study says."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from nasplug_optuna import to_optuna
from nasplug_optuna.command import address
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nasplug.cli import main
from nasplug.contract.errors import StudyError
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.ledger import Ledger
from nasplug.testing import SyntheticCost, SyntheticEvaluator, SyntheticSpace, run_search

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def searched(**options):
    defaults = {
        "evaluator": SyntheticEvaluator(failing=0.2, halting=0.1),
        "constraints": ["units <= 9"],
        "costs": {"units": SyntheticCost()},
        "trials": 20,
        "epochs": 3,
        "objectives": {"val_acc": "max"},
    }
    return run_search("optuna.random", **{**defaults, **options})


def test_every_trial_is_there_with_its_own_number_state_and_parameters():
    study = searched()
    made = to_optuna(study)
    assert {trial.state for trial in study.trials} == set(STATES)
    for ours, theirs in zip(study.trials, made.trials, strict=True):
        assert theirs.number == ours.number
        assert theirs.state is STATES[ours.state]
        assert tuple(theirs.params.values()) == ours.architecture.genotype
        assert theirs.user_attrs["key"] == ours.architecture.key
        assert theirs.user_attrs["cost units"] == ours.costs["units"]
        assert theirs.duration.total_seconds() == pytest.approx(ours.seconds, abs=1e-5)
        if ours.state == "complete":
            assert theirs.values == [ours.values["val_acc"]]
            assert theirs.user_attrs["metric params"] == ours.metrics["params"]
            assert theirs.intermediate_values == {m.step: m.metrics["val_acc"] for m in ours.measurements}
        if ours.state == "failed":
            assert theirs.user_attrs["failure"].startswith("shape: ")
        if ours.state == "pruned":
            assert theirs.user_attrs["reason"] == ours.reason


def test_the_best_trials_are_the_same_under_constraints():
    study = searched()
    assert any(study.violation(trial) > 0 and trial.costs for trial in study.trials)
    made = to_optuna(study)
    assert made.best_trial.number == study.best.number
    assert made.metric_names == ["val_acc"]


def test_the_pareto_fronts_are_the_same():
    study = searched(objectives={"val_acc": "max", "params": "min"}, trials=40, evaluator=SyntheticEvaluator())
    made = to_optuna(study)
    front = {tuple(trial.values) for trial in made.best_trials}
    assert front == {(t.values["val_acc"], t.values["params"]) for t in study.pareto()}
    assert len(front) > 2


def test_hyperparameters_of_any_kind_get_a_range():
    ledger = Ledger.of(SyntheticSpace(length=1), {"loss": "min"})
    rows = [
        {"lr": 1e-4, "layers": 1, "optimiser": "adam", "position0": 0.5, "nesterov": True},
        {"lr": 1e-1, "layers": 3, "optimiser": "sgd", "position0": 0.7, "nesterov": None},
    ]
    for number, row in enumerate(rows):
        architecture = ledger.view.space.from_vector([number])
        ledger.observe(
            Trial(number, Proposal(architecture, row), "complete", metrics={"loss": 1.0, "odd": float("nan")})
        )
    first, second = to_optuna(ledger.result()).trials
    assert first.distributions["lr"] == FloatDistribution(1e-4, 1e-1, log=True)
    assert first.distributions["layers"] == IntDistribution(1, 3)
    assert first.distributions["optimiser"] == CategoricalDistribution(("adam", "sgd"))
    assert first.params["position0"] == "skip"
    assert second.params["position0 (training)"] == 0.7
    assert (first.params["nesterov"], second.params["nesterov"]) == ("true", "null")
    assert first.user_attrs["metric odd"] is None


def test_options_that_python_calls_equal_are_told_apart():
    class Odd:
        name = "odd"
        choices = (Choice("flag", (1, True, 2)),)

        def vector(self, architecture):
            return architecture.genotype

        def from_vector(self, indices):
            return Architecture("odd", tuple(indices), str(indices))

    ledger = Ledger.of(Odd(), {"loss": "min"})
    for number in range(3):
        ledger.observe(
            Trial(number, Proposal(ledger.view.space.from_vector([number])), "complete", metrics={"loss": 1.0})
        )
    assert [trial.params["flag"] for trial in to_optuna(ledger.result()).trials] == ["1", "true", "2"]


def test_a_study_without_its_space_shows_architectures():
    ledger = Ledger.of(None, {"loss": "min"})
    for number in range(3):
        architecture = Architecture("elsewhere", (number,), f"key{number}")
        ledger.observe(Trial(number, Proposal(architecture), "complete", metrics={"loss": float(number)}))
    ledger.propose(Trial(3, Proposal(Architecture("elsewhere", (1,), "key1")), "running"))
    ledger.propose(Trial(4, Proposal(Architecture("elsewhere", (2,), "key2"))))
    made = to_optuna(ledger.result())
    assert made.best_params == {"architecture": "key0"}
    assert [trial.state for trial in made.trials[3:]] == [TrialState.RUNNING, TrialState.WAITING]


def test_a_study_without_objectives_is_refused():
    with pytest.raises(StudyError, match="without objectives"):
        to_optuna(Ledger.of(SyntheticSpace()).result())


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "search.json").write_text(
        json.dumps(
            {
                "space": {"class_path": "nasplug.testing.SyntheticSpace"},
                "evaluator": {"class_path": "nasplug.testing.SyntheticEvaluator"},
                "strategy": {"optuna.tpe": {"n_startup_trials": 3, "hyperparameters": {"lr": [1e-4, 1e-1, "log"]}}},
                "objectives": {"val_acc": "max"},
                "budget": {"trials": 6, "epochs": 2},
                "run": {"storage": "search.sqlite"},
            }
        )
    )
    assert main(["run", "search.json"]) == 0
    return tmp_path / "search.sqlite"


@pytest.mark.parametrize("out", ["made/here/study.log", "study.db"])
def test_the_command_writes_what_optuna_reads(study_file, out, capsys):
    assert main(["optuna", "export", "search.sqlite", out]) == 0
    printed = capsys.readouterr().out
    assert f"6 trials in {out}" in printed
    assert f"optuna-dashboard {address(out)}" in printed
    storage = f"sqlite:///{out}" if out.endswith(".db") else JournalStorage(JournalFileBackend(out))
    made = optuna.load_study(study_name="search", storage=storage)
    assert [trial.number for trial in made.trials] == list(range(6))
    assert {"position0", "lr"} <= set(made.trials[0].params)
    assert made.user_attrs["nasplug.spec"]["budget"]["trials"] == 6
    assert sorted(made.trials[5].intermediate_values) == [0, 1]


def test_an_existing_file_is_kept_unless_forced(study_file, capsys):
    assert main(["optuna", "export", "search.sqlite", "study.log"]) == 0
    before = Path("study.log").read_text()
    assert main(["optuna", "export", "search.sqlite", "study.log", "--name", "again"]) == 3
    assert "--force" in capsys.readouterr().err
    assert Path("study.log").read_text() == before
    assert main(["optuna", "export", "search.sqlite", "study.log", "--name", "again", "--force"]) == 0
    assert optuna.load_study(study_name="again", storage=JournalStorage(JournalFileBackend("study.log")))
    assert {path.name for path in study_file.parent.iterdir() if path.name.startswith(".study")} == set()


def test_a_missing_study_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["optuna", "export", "nothing.sqlite", "out.db"]) == 3
    assert "nothing.sqlite" in capsys.readouterr().err
    assert not (tmp_path / "out.db").exists()


def test_the_excess_over_every_constraint_is_told():
    study = searched(constraints=["units <= 9", "params <= 40000"])
    for ours, theirs in zip(study.trials, to_optuna(study).trials, strict=True):
        told = theirs.constraints
        for constraint in study.constraints:
            if constraint.name in ours.values and constraint.name in told:
                assert (told[constraint.name] > 0) == (constraint.violation(ours.values) > 0)
        assert bool(told) == any(constraint.name in ours.values for constraint in study.constraints)


def test_the_log_of_optuna_is_as_it_was_afterwards():
    from nasplug_optuna.quiet import quiet

    before = optuna.logging.get_verbosity()
    for level in (optuna.logging.INFO, optuna.logging.DEBUG):
        optuna.logging.set_verbosity(level)
        with quiet():
            assert optuna.logging.get_verbosity() == optuna.logging.ERROR
        assert optuna.logging.get_verbosity() == level
    optuna.logging.set_verbosity(before)
