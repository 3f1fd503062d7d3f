"""Loggers by name: one run for each trial, grouped by study."""

from __future__ import annotations

import csv
import sys
import types

import pytest
from pytorch_lightning.loggers import CSVLogger
from torch import nn

import nasplug as nas
from nasplug.contract.errors import MissingExtraError, SpecError
from nasplug.evaluate.lightning import LightningEvaluator
from nasplug.evaluate.loggers import NAMES, Loggers
from nasplug.run.spec import RunSpec


class Widths(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("widths", [nas.Choice("width", (2, 3, 4))])

    def build(self, architecture, task):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, architecture.genotype[0]), nn.Linear(architecture.genotype[0], 10)
        )


def search(loggers, **more):
    return nas.search(
        nas.ImageClassification(limit=64, batch_size=32), space=Widths(), progress=False,
        evaluator=LightningEvaluator(loggers=loggers), **{"trials": 2, "epochs": 2, **more},
    )  # fmt: skip


def told(study):
    return [(trial.architecture.key, dict(trial.metrics), trial.seed) for trial in study.trials]


def test_every_trial_has_a_run_of_its_own_and_is_the_same_as_without(tmp_path):
    study = search(["csv"], storage=tmp_path / "digits.sqlite")
    (logs,) = (tmp_path / "digits.sqlite.files").glob("*/logs/digits")
    assert sorted(path.name for path in logs.iterdir()) == ["trial-00000", "trial-00001"]
    for trial in study.trials:
        folder = logs / f"trial-{trial.number:05d}"
        rows = list(csv.DictReader((folder / "metrics.csv").open()))
        logged = [float(row["val_acc"]) for row in rows if row.get("val_acc")]
        assert logged == pytest.approx([step.metrics["val_acc"] for step in trial.measurements])
        facts = (folder / "hparams.yaml").read_text()
        assert f"trial: {trial.number}" in facts
        assert f"architecture: {study.label(trial)}" in facts
    assert told(study) == told(search([]))


def test_in_worker_processes_with_the_baseline_and_another_folder(tmp_path):
    loggers = [{"csv": {"folder": str(tmp_path / "logs"), "study": "mine"}}]
    search(loggers, workers=2, baseline={"genotype": [4]})
    assert sorted(path.name for path in (tmp_path / "logs" / "mine").iterdir()) == [
        "baseline", "trial-00000", "trial-00001",
    ]  # fmt: skip


def test_a_function_makes_a_logger_for_a_trial(tmp_path):
    search([lambda run: CSVLogger(tmp_path, name="own", version=f"v{run.number}")])
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["v0", "v1"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["tensorbord"], "did you mean 'tensorboard'"),
        ("csv", "expected a list"),
        ([{"csv": {}, "wandb": {}}], "cannot read"),
        ([{"csv": 3}], "cannot read"),
        ([{"csv": {"version": 1}}], "names the run"),
        ([CSVLogger(".")], "all trials into one run"),
    ],
)
def test_what_cannot_be_is_refused(given, says):
    with pytest.raises(SpecError, match=says):
        Loggers(given)


def test_a_ready_logger_of_the_trainer_is_refused_with_the_way_to_go():
    with pytest.raises(SpecError, match=r"all trials into one run[\s\S]*loggers"):
        LightningEvaluator(trainer={"logger": CSVLogger(".")})


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_named(monkeypatch, name):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=f"pip install {name}"):
        Loggers([name])


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_runs_of_other_loggers_are_named_after_study_and_trial(monkeypatch, tmp_path, name):
    """Stand-ins of the classes of Lightning: their packages are large."""
    made, ended = [], []
    if name == "wandb":
        monkeypatch.setitem(NAMES, "wandb", ("Stand", ("wandb",)))

    class Stand(CSVLogger):
        def __init__(self, **given):
            made.append(given)
            super().__init__(tmp_path / "stand", version=str(len(made)))

        @property
        def experiment(self):
            found = super().experiment
            found.finish = lambda: ended.append(len(made))
            return found

    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda _: types.ModuleType("found"))
        loggers = Loggers([{name: {"study": "digits", "folder": str(tmp_path)}}])
    monkeypatch.setattr(sys.modules["pytorch_lightning"].loggers, NAMES[name][0], Stand, raising=False)
    evaluator = LightningEvaluator()
    evaluator.loggers = loggers
    nas.search(
        nas.ImageClassification(limit=64, batch_size=32), space=Widths(), evaluator=evaluator, trials=2, progress=False
    )
    expected = {
        "tensorboard": {"name": "digits", "version": "trial-00001"},
        "mlflow": {"experiment_name": "digits", "tags": {"study": "digits"}},
        "wandb": {"group": "digits", "project": "nasplug"},
    }[name]
    assert len(made) == 2
    assert {key: made[1][key] for key in expected} == expected
    shown = made[1].get("run_name") or (made[1]["name"] if name == "wandb" else "trial-00001 width=")
    assert shown.startswith("trial-00001 width=")
    assert ended == ([1, 2] if name == "wandb" else [])


def test_loggers_do_not_decide_the_trials():
    for more in ({}, {"keep": "last"}):
        with_them = {"space": "timm", "evaluator": {"lightning": {"loggers": ["csv"], **more}}}
        without = {"space": "timm", "evaluator": {"lightning": more}}
        assert RunSpec.parse(with_them).fingerprint() == RunSpec.parse(without).fingerprint()
