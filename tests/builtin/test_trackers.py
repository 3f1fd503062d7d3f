"""The log of a run as lines of JSON."""

from __future__ import annotations

import json

import pytest

import nasplug as nas
from nasplug.contract.errors import StorageError
from nasplug.contract.records import Trial
from nasplug.run.api import run_spec


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def spec(toy_spec, tmp_path, trials, **run):
    log = {"jsonl": {"path": str(tmp_path / "logs" / "run.jsonl")}}
    run = {"storage": str(tmp_path / "s.sqlite"), **run}
    return toy_spec(trackers=[log], evaluator={"steps": 2}, budget={"trials": trials}, run=run)


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_every_event_is_a_line(toy_spec, tmp_path, executor):
    study = run_spec(spec(toy_spec, tmp_path, 4, executor=executor))
    events = lines(tmp_path / "logs" / "run.jsonl")
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert kinds.count("submitted") == kinds.count("observed") == 4
    assert kinds.count("measured") == 8
    observed = [Trial.from_json(event["trial"]) for event in events if event["event"] == "observed"]
    assert observed == list(study.trials)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_a_resumed_run_appends_what_is_new(toy_spec, tmp_path):
    run_spec(spec(toy_spec, tmp_path, 3))
    run_spec(spec(toy_spec, tmp_path, 5))
    observed = [e["trial"]["number"] for e in lines(tmp_path / "logs" / "run.jsonl") if e["event"] == "observed"]
    assert observed == [0, 1, 2, 3, 4]


def test_trackers_change_no_trial_and_may_change_on_resume(toy_spec, tmp_path, outcome):
    run_spec(spec(toy_spec, tmp_path, 3))
    plain = toy_spec(evaluator={"steps": 2}, budget={"trials": 6}, run={"storage": str(tmp_path / "s.sqlite")})
    whole = toy_spec(evaluator={"steps": 2}, budget={"trials": 6})
    assert outcome(run_spec(plain)) == outcome(run_spec(whole))


def test_a_log_that_cannot_be_written_stops_before_the_first_trial(toy_spec, tmp_path):
    (tmp_path / "logs").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="cannot write the log"):
        run_spec(spec(toy_spec, tmp_path, 3))


def test_a_tracker_of_ones_own_hears_everything_in_order(toy_spec):
    heard = []

    class Listening(nas.Tracker):
        def started(self, study, plan):
            heard.append(("started", plan.trials, plan.workers))

        def submitted(self, trial):
            heard.append(("submitted", trial.number))

        def observed(self, trial):
            heard.append(("observed", trial.number))

        def ended(self):
            heard.append(("ended",))

    run_spec(toy_spec(budget={"trials": 2}, run={"batch": 1}), trackers=[Listening()])
    assert heard == [
        ("started", 2, 1),
        ("submitted", 0),
        ("observed", 0),
        ("submitted", 1),
        ("observed", 1),
        ("ended",),
    ]
