"""Whose a study file is: an empty one is nobody's, and where a run takes place is not part of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import SpecError, StorageError
from nasplug.run.api import run_spec


class _Refusing:
    """Refuses the machine, as an evaluator does that finds no GPU."""

    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        raise SpecError("the device 'cuda' is not available")


def test_a_study_that_never_got_anywhere_is_nobodys(toy_spec, tmp_path, outcome):
    path = str(tmp_path / "s.sqlite")
    refused = toy_spec(run={"storage": path, "seed": 1})
    with pytest.raises(SpecError, match="not available"):
        run_spec(refused, objects={"evaluator": _Refusing()})
    corrected = toy_spec(run={"storage": path, "seed": 2})
    study = run_spec(corrected)
    assert outcome(study) == outcome(run_spec(toy_spec(run={"seed": 2})))
    assert outcome(nas.load_study(path)) == outcome(study)
    with pytest.raises(SpecError, match="belongs to another specification"):
        run_spec(refused)


def test_a_study_that_waits_for_its_first_trial_is_resumed_as_it_is(toy_spec, tmp_path, outcome):
    path = str(tmp_path / "s.sqlite")
    with pytest.raises(SpecError, match="not available"):
        run_spec(toy_spec(run={"storage": path}), objects={"evaluator": _Refusing()})
    assert outcome(run_spec(toy_spec(run={"storage": path}))) == outcome(run_spec(toy_spec()))


def test_another_device_and_a_moved_plugin_resume(toy_spec, toy_path, tmp_path, outcome):
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(budget={"trials": 5}, run={"storage": path, "device": "auto"}))
    moved = tmp_path / "elsewhere" / "toy_plugin.py"
    moved.parent.mkdir()
    moved.write_text(Path(toy_path).read_text())
    spec = toy_spec(run={"storage": path, "device": "cpu", "executor": "process", "workers": 2}, plugins=[str(moved)])
    assert outcome(run_spec(spec)) == outcome(run_spec(toy_spec()))


def test_a_shorter_budget_than_the_study_is_said(toy_spec, tmp_path):
    path = str(tmp_path / "s.sqlite")
    whole = run_spec(toy_spec(run={"storage": path}))
    with pytest.warns(RuntimeWarning, match=r"holds 12 trials and budget.trials is 5: the first 5 are taken"):
        study = run_spec(toy_spec(budget={"trials": 5}, run={"storage": path}))
    assert [trial.number for trial in study.trials] == list(range(5))
    assert len(nas.load_study(path).trials) == len(whole.trials) == 12


def test_an_unwritable_place_is_named(toy_spec, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"/file' is a file, not a folder"):
        run_spec(toy_spec(run={"storage": str(tmp_path / "file" / "deep" / "s.sqlite")}))
    with pytest.raises(StorageError, match="no file can be made in '/proc'"):
        run_spec(toy_spec(run={"storage": "/proc/x.sqlite"}))


def test_a_component_without_arguments_is_the_same_in_both_spellings(toy_spec, tmp_path, outcome):
    path = str(tmp_path / "s.sqlite")
    short, long = "regularized_evolution", {"regularized_evolution": {}}
    assert toy_spec(strategy={"asha": {"inner": short}}).fingerprint() == (
        toy_spec(strategy={"asha": {"inner": long}}).fingerprint()
    )
    assert toy_spec(strategy=short).fingerprint() == toy_spec(strategy=long).fingerprint()
    asha = toy_spec(strategy={"asha": {"inner": {"regularized_evolution": {"population_size": 3}}}})
    assert asha.fingerprint() != toy_spec(strategy={"asha": {"inner": long}}).fingerprint()
    first = run_spec(toy_spec(strategy=long, run={"storage": path}))
    assert outcome(run_spec(toy_spec(strategy=short, run={"storage": path}))) == outcome(first)
