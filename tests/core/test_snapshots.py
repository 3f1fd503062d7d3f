"""Resuming from a snapshot must be as exact as replaying from the first trial."""

from __future__ import annotations

import pytest

from nasplug.ledger.storage import SQLiteStorage
from nasplug.run import loop
from nasplug.run.api import run_spec


@pytest.mark.parametrize("cut", [1, 6, 11])
def test_a_snapshot_resumes_exactly(toy_spec, outcome, tmp_path, monkeypatch, cut):
    monkeypatch.setattr(loop, "SNAPSHOT_EVERY", 0.0)  # after every trial
    whole = run_spec(toy_spec(budget={"trials": 16}))
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(budget={"trials": cut + 4}, run={"storage": path}))
    storage = SQLiteStorage(path, writable=False)
    snapshot = storage.snapshot()
    storage.close()
    assert snapshot["observed"] == cut + 1  # after this one, the end of the budget kept proposals back
    assert snapshot["plugins"]["strategy:climb"]["best"] is not None
    assert outcome(run_spec(toy_spec(budget={"trials": 16}, run={"storage": path}))) == outcome(whole)


def test_a_snapshot_spares_the_replay(toy_spec, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SNAPSHOT_EVERY", 0.0)
    path = str(tmp_path / "s.sqlite")
    run_spec(toy_spec(run={"storage": path}))
    calls = []
    original = loop.Search._observe
    monkeypatch.setattr(
        loop.Search, "_observe", lambda self, trial: (calls.append(trial.number), original(self, trial))
    )
    run_spec(toy_spec(run={"storage": path}))
    assert calls == [9, 10, 11]


class _Kill(Exception):
    pass


class _KillAt:
    """Ends the driver when it has observed so many trials, with trials in flight."""

    def __init__(self, count):
        self.left = count

    def started(self, search): ...
    def submitted(self, trial): ...
    def measured(self, number, measurement): ...
    def ended(self): ...

    def observed(self, trial):
        self.left -= 1
        if not self.left:
            raise _Kill


@pytest.mark.parametrize(
    "strategy",
    ["climb", "climb_unsaved", "random", {"regularized_evolution": {"population_size": 4, "tournament_size": 2}}],
)
def test_trials_in_flight_know_after_a_resume_what_they_knew_when_proposed(
    toy_spec, outcome, tmp_path, monkeypatch, strategy
):
    monkeypatch.setattr(loop, "SNAPSHOT_EVERY", 0.0)
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
            run_spec(spec, listener=_KillAt(killed))
        assert outcome(run_spec(spec)) == outcome(whole), f"killed after {killed}"
