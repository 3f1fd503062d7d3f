"""Resuming from a snapshot must be as exact as replaying from the first trial."""

from __future__ import annotations

import pytest

from nasplug.run import loop
from nasplug.run.api import run_spec
from nasplug.study.storage import SQLiteStorage


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
