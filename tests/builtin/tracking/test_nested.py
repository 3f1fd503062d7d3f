"""A run for the study and one for each trial, whatever the server."""

from __future__ import annotations

import logging

import pytest

import nasplug as nas
from nasplug.builtin.tracking.nested import NestedRuns
from nasplug.contract.errors import MissingExtraError, SpecError
from nasplug.run.api import run_spec
from nasplug.testing.tracker import TrackerConformance


class Notes(NestedRuns[dict]):
    """A server that is a list."""

    package = "notes"

    def __init__(self, fails_after=None, refuses=None):
        super().__init__()
        self.runs, self.fails_after, self.refuses = [], fails_after, refuses

    def open_parent(self, name, identifier, facts):
        if self.refuses is not None:
            raise self.refuses
        return self._open(name, None, {"id": identifier, **facts})

    def open_child(self, parent, name, facts):
        return self._open(name, parent, facts)

    def _open(self, name, parent, facts):
        self.runs.append({"name": name, "parent": parent, "facts": facts, "log": [], "state": None})
        return self.runs[-1]

    def log(self, run, values, step):
        if self.fails_after is not None and len(self.runs) > self.fails_after:
            raise ConnectionError("the server is gone")
        assert run["state"] is None
        run["log"].append((step, dict(values)))

    def close(self, run, state, reason):
        run["state"], run["reason"] = state, reason


class TestNested(TrackerConformance):
    def make_tracker(self):
        return Notes()


def follow(toy_spec, notes, trials=6, **run):
    return run_spec(toy_spec(evaluator={"steps": 2}, budget={"trials": trials}, run=run), trackers=[notes])


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_the_study_is_a_run_and_each_trial_one_inside(toy_spec, executor):
    notes = Notes()
    study = follow(toy_spec, notes, executor=executor)
    parent, children = notes.runs[0], sorted(notes.runs[1:], key=lambda run: run["name"])
    assert (parent["name"], parent["parent"], parent["state"]) == ("study", None, "complete")
    assert [run["name"] for run in children] == [f"trial-{trial.number:05d}" for trial in study.trials]
    name = study.objectives[0].name
    for run, trial in zip(children, study.trials, strict=True):
        assert run["parent"] is parent
        assert run["state"] == trial.state
        assert (run["facts"]["trial"], run["facts"]["seed"]) == (trial.number, trial.seed)
        steps = [entry for entry in run["log"] if not any(key.startswith("final/") for key in entry[1])]
        assert steps == (
            [] if trial.copied_from is not None else [(m.step, dict(m.metrics)) for m in trial.measurements]
        )
        assert run["log"][-1][1][f"final/{name}"] == trial.values[name]
    shown = [values[f"best/{name}"] for _, values in parent["log"] if f"best/{name}" in values]
    assert shown[-1] == study.best.values[name]
    assert shown == sorted(shown)


def test_a_resumed_study_writes_only_what_is_new(toy_spec, tmp_path):
    file = str(tmp_path / "mine.sqlite")
    first, second = Notes(), Notes()
    follow(toy_spec, first, 3, storage=file)
    follow(toy_spec, second, 5, storage=file)
    assert first.runs[0]["name"] == second.runs[0]["name"] == "mine"
    assert first.runs[0]["facts"]["id"] == second.runs[0]["facts"]["id"]
    assert [run["name"] for run in second.runs[1:]] == ["trial-00003", "trial-00004"]


def test_a_server_that_goes_away_ends_the_tracking_and_not_the_search(toy_spec, caplog):
    with caplog.at_level(logging.WARNING, logger="nasplug"):
        study = follow(toy_spec, Notes(fails_after=2))
    assert len(study.trials) == 6
    warned = [record.getMessage() for record in caplog.records if "tracking" in record.getMessage()]
    assert warned == ["tracking with notes ends here, and the search goes on: ConnectionError: the server is gone"]


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        (ImportError("No module named 'notes'"), MissingExtraError, "pip install notes"),
        (ConnectionError("refused"), SpecError, "ConnectionError: refused"),
    ],
)
def test_a_server_that_is_not_there_at_the_start_is_an_error(toy_spec, problem, kind, words):
    with pytest.raises(kind, match=words):
        follow(toy_spec, Notes(refuses=problem))


def test_trials_in_the_middle_are_closed_when_the_run_is_interrupted(toy_spec):
    notes = Notes()

    class Stop(nas.Tracker):
        def measured(self, number, measurement):
            if number == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_spec(
            toy_spec(evaluator={"steps": 2}, budget={"trials": 5}, run={"executor": "process"}),
            trackers=[notes, Stop()],
        )
    assert [run["state"] for run in notes.runs] == ["complete", "complete", "complete", "interrupted"]
