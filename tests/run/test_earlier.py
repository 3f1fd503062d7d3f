"""Study files of earlier versions, whose settings had no groups."""

from __future__ import annotations

import json
import sqlite3

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.plugins.discovery import discover
from nasplug.run.earlier import updated
from nasplug.run.spec import RunSpec

NOW = {"limit": 100, "split": {"val_fraction": 0.3}, "training": {"lr": 0.01, "optimizer": "sgd"}}
FLAT = {"limit": 100, "val_fraction": 0.3, "lr": 0.01, "optimizer": "sgd"}


def task(arguments):
    spec = RunSpec.parse({"space": "timm", "task": {"image_classification": arguments}})
    return updated(spec, discover().catalog).task.args


def test_settings_go_into_their_groups():
    assert task(FLAT) == NOW
    assert task(NOW) == NOW
    assert task({"split_seed": 4, "l2_all": True}) == {"split": {"seed": 4}, "training": {"l2_all": True}}
    assert task({"lr": 0.5, "training": {"momentum": 0.5}}) == {"training": {"lr": 0.5, "momentum": 0.5}}


def test_what_fits_nowhere_stays_for_the_message():
    assert task({"bach_size": 3}) == {"bach_size": 3}
    spec = RunSpec.parse({"space": "timm", "task": "not_installed", "strategy": {"random": {"distinct": False}}})
    assert updated(spec, discover().catalog) == spec


def test_components_inside_components_and_class_paths_are_followed():
    inner = {"class_path": "nasplug.tasks.ImageClassification", "init_args": {"lr": 0.5}}
    outer = {"asha": {"inner": {"qnas": {"max_update": 0.5}}}}
    spec = RunSpec.parse({"space": "timm", "task": inner, "strategy": outer})
    now = updated(spec, discover().catalog)
    assert now.task.args == {"training": {"lr": 0.5}}
    assert now.strategy.to_plain() == {"asha": {"inner": {"qnas": {"evolution": {"max_update": 0.5}}}}}


@pytest.fixture
def earlier(tmp_path):
    """A study file whose specification is written as versions before 2.0 wrote it."""
    path = tmp_path / "s.sqlite"
    spec = {
        "task": {"image_classification": NOW},
        "space": {"qnas.conv": {"nodes": 2, "width": 0.0625}},
        "strategy": {"qnas": {"evolution": {"quantum_individuals": 2}}},
        "budget": {"trials": 2, "epochs": 1},
        "run": {"batch": 2, "storage": str(path)},
    }
    nas.run_spec(RunSpec.parse(spec))
    from nasplug.ledger.sqlite import SQLiteStorage

    storage = SQLiteStorage(path)
    stored = storage.meta()["spec"]
    stored["task"] = {"image_classification": FLAT}
    stored["strategy"] = {"qnas": {"quantum_individuals": 2}}
    storage.write_meta({"spec": stored})
    storage.close()
    with sqlite3.connect(path) as connection:
        rows = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    assert json.loads(rows["spec"])["task"] == {"image_classification": FLAT}
    return path, spec


def test_an_earlier_study_opens_and_builds(earlier):
    path, _ = earlier
    study = nas.load_study(path)
    assert study.network(study.best) is not None
    assert study.task.training.lr == 0.01


def test_an_earlier_study_is_resumed_by_the_specification_as_it_is_written_now(earlier):
    path, spec = earlier
    study = nas.run_spec(RunSpec.parse({**spec, "budget": {"trials": 4, "epochs": 1}}))
    assert len(study.trials) == 4
    assert nas.load_study(path).meta["spec"]["task"] == {"image_classification": NOW}


def test_an_earlier_specification_is_refused_with_the_new_place(earlier):
    _, spec = earlier
    with pytest.raises(SpecError, match=r"there is no argument 'val_fraction'(.|\n)*split: \{val_fraction: ...\}"):
        nas.run_spec(RunSpec.parse({**spec, "task": {"image_classification": FLAT}}))


def test_the_command_line_resumes_an_earlier_study(earlier, capsys):
    from nasplug.cli import main

    path, _ = earlier
    assert main(["run", str(path), "--resume", "--set", "budget.trials=3"]) == 0
    assert len(nas.load_study(path).trials) == 3
