"""What becomes of jobs whose processes die or take too long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplug.contract.errors import PluginError
from nasplug.contract.records import Architecture, Measurement, Proposal, Trial
from nasplug.ledger.work import Outcome, Work
from nasplug.run.executors.pool import Event
from nasplug.run.executors.process import ProcessExecutor
from nasplug.run.jobs import Job

TRIAL = Trial(3, Proposal(Architecture("s", (), "")), seed=5)
WORK = Work("package.module:train", {"epochs": 3})
LIMITED = Work("package.module:train", {"epochs": 4}, time_limit=2.0)


def result(job, kind, value=None, measured=()):
    executor = ProcessExecutor()
    executor._jobs[job.key] = job
    executor._measured[job.key] = {(m.stage, m.step): m for m in measured}
    return executor._result(Event(job.key, kind, value))


@pytest.mark.parametrize(("code", "hint"), [(1, False), (-9, True), (137, True), (None, False)])
def test_a_trial_that_died_twice_failed_with_its_measurements(code, hint):
    steps = (Measurement(0, {"loss": 2.0}), Measurement(1, {"loss": 1.0}))
    trial = result(Job(TRIAL), "died", code, steps)
    assert isinstance(trial, Trial)
    assert (trial.number, trial.state, trial.seed, trial.failure.kind) == (3, "failed", 5, "crash")
    assert trial.measurements == steps
    assert f"exit code {'unknown' if code is None else code}" in trial.failure.message
    assert ("too much memory" in trial.failure.message) == hint


def test_work_that_died_is_an_outcome_without_result():
    outcome = result(Job(None, WORK), "died", 1)
    assert isinstance(outcome, Outcome)
    assert (outcome.key, outcome.result, outcome.failure.kind) == (WORK.key, None, "crash")


@pytest.mark.parametrize(
    ("job", "whose"),
    [(Job(TRIAL), "run.time_limit"), (Job(None, WORK), "run.time_limit"), (Job(None, LIMITED), "its own")],
)
def test_a_time_limit_says_whose_it_was(job, whose):
    found = result(job, "timeout", 2.0)
    assert found.failure.kind == "timeout"
    assert found.failure.message == f"ran longer than the time limit of 2 s ({whose})"


def test_what_a_worker_raises_is_raised_here_and_results_pass():
    done = TRIAL.with_(state="complete")
    assert result(Job(TRIAL), "done", done) is done
    with pytest.raises(PluginError, match="broken"):
        result(Job(TRIAL), "done", PluginError("broken"))


@pytest.mark.parametrize(("words", "kill"), [({}, False), ({"kill": False}, False), ({"kill": True}, True)])
def test_workers_end_by_themselves_unless_they_are_to_be_killed(words, kill):
    seen = []
    executor = ProcessExecutor()
    executor.close()  # before it was started
    executor._engine = SimpleNamespace(close=lambda **how: seen.append(how))
    executor.close(**words)
    assert seen == [{"kill": kill}]
