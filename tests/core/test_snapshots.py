"""Resuming from a snapshot must be as exact as replaying from the first trial."""

from __future__ import annotations

import sys

import pytest

import nasplug as nas
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec


@pytest.mark.parametrize("cut", [1, 6, 11])
def test_a_snapshot_resumes_exactly(toy_spec, outcome, tmp_path, cut):
    whole = run_spec(toy_spec(budget={"trials": 16}))
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(budget={"trials": cut + 4}, run={"storage": path}), snapshot_every=0)
    storage = SQLiteStorage(path, writable=False)
    snapshot = storage.snapshot()
    storage.close()
    assert snapshot["observed"] == cut + 1  # after this one, the end of the budget kept proposals back
    assert snapshot["plugins"]["strategy:climb"]["best"] is not None
    assert outcome(run_spec(toy_spec(budget={"trials": 16}, run={"storage": path}))) == outcome(whole)


def test_a_snapshot_spares_the_replay(toy_spec, tmp_path):
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(run={"storage": path}), snapshot_every=0)
    calls = []
    module = sys.modules[toy_module()]
    observe = module.Climb.observe

    class Counting(module.Climb):
        @nas.hookimpl
        def observe(self, study, trial):
            calls.append(trial.number)
            observe(self, study, trial)

    run_spec(toy_spec(run={"storage": path}), objects={"strategy": Counting()})
    assert calls == [9, 10, 11]


def toy_module():
    return next(name for name in sys.modules if name.startswith("nasplug_file_toy_plugin"))


class _Kill(Exception):
    pass


class _KillAt(nas.Tracker):
    """Ends the driver when it has observed so many trials, with trials in flight."""

    def __init__(self, count):
        self.left = count

    def observed(self, trial):
        self.left -= 1
        if not self.left:
            raise _Kill


@pytest.mark.parametrize(
    "strategy",
    ["climb", "climb_unsaved", "random", {"regularized_evolution": {"population_size": 4, "tournament_size": 2}}],
)
def test_trials_in_flight_know_after_a_resume_what_they_knew_when_proposed(toy_spec, outcome, tmp_path, strategy):
    keys = {
        "strategy": strategy,
        "stoppers": ["impatient"],
        "evaluator": {"steps": 3},
        "budget": {"trials": 14},
        "objectives": {"score": "max"},
    }
    whole = run_spec(toy_spec(**keys))
    assert any(trial.state == "pruned" for trial in whole.trials)
    for killed in range(1, 14):
        spec = toy_spec(**keys, run={"storage": str(tmp_path / f"{killed}.sqlite")})
        with pytest.raises(_Kill):
            run_spec(spec, trackers=[_KillAt(killed)], snapshot_every=0)
        assert outcome(run_spec(spec)) == outcome(whole), f"killed after {killed}"
