"""Copies are complete, and studies of format 1 become studies of today."""

from __future__ import annotations

import json
import sqlite3

import pytest

import nasplug as nas
from nasplug.contract.errors import StorageError
from nasplug.contract.records import Inherit
from nasplug.ledger.copying import copy_study
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.api import run_spec

TRIALS = [
    {
        "number": 0,
        "proposal": {"architecture": {"space": "toy", "genotype": list("abcdab"), "key": "k0"}, "epochs": 2},
        "state": "complete", "seed": 7, "metrics": {"score": 0.5, "odd": float("nan")}, "costs": {"size": 12.0},
        "measurements": [[1, {"score": 0.25}], [2, {"score": 0.5}]],
        "artifacts": {"weights": "trial-00000/weights.safetensors"}, "seconds": 1.5,
    },
    {
        "number": 1,
        "proposal": {
            "architecture": {"space": "toy", "genotype": list("aacdab"), "key": "k1"},
            "hyperparameters": {"lr": 0.1}, "parent": 0, "info": {"rung": 1},
        },
        "state": "failed", "seed": 8, "failure": {"kind": "nan", "message": "m", "traceback": "t"},
    },
]  # fmt: skip


@pytest.fixture
def old(tmp_path):
    """A study as version 0.1.0 wrote it."""
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 0x6E617370")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute(
            "CREATE TABLE trials (number INTEGER PRIMARY KEY, state TEXT NOT NULL, record TEXT NOT NULL)"
        )
        connection.execute("CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 0), state TEXT NOT NULL)")
        meta = {"spec": {"space": "toy", "evaluator": "toy"}, "objectives": {"score": "max"}, "constraints": []}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in meta.items()])
        rows = [(trial["number"], trial["state"], json.dumps(trial)) for trial in TRIALS]
        connection.executemany("INSERT INTO trials VALUES (?, ?, ?)", rows)
    (tmp_path / "old.files" / "trial-00000").mkdir(parents=True)
    (tmp_path / "old.files" / "trial-00000" / "weights.safetensors").write_bytes(b"weights")
    return path


def test_format_1_is_refused_with_the_way_out(old):
    before = old.read_bytes()
    for writable in (False, True):
        with pytest.raises(StorageError, match=r"(?s)format 1.*nasplug copy old\.sqlite NEW\.sqlite"):
            SQLiteStorage(old, writable=writable)
    assert old.read_bytes() == before


def test_format_1_is_converted_with_its_files(old, tmp_path):
    assert copy_study(old, tmp_path / "new.sqlite") == 2
    study = nas.load_study(tmp_path / "new.sqlite")
    first, second = study.trials
    assert study.budget_of(first).epochs == 2
    assert first.metrics["score"] == 0.5
    assert str(first.metrics["odd"]) == "nan"
    assert [m.metrics["score"] for m in first.measurements] == [0.25, 0.5]
    assert (study.artifacts() / first.artifacts["weights"]).read_bytes() == b"weights"
    assert second.proposal.inherits == Inherit(0, "training")
    assert second.failure.kind == "nan"
    assert second.hyperparameters == {"lr": 0.1}


def test_a_copy_goes_on_like_the_original(toy_spec, outcome, tmp_path):
    run_spec(toy_spec(budget={"trials": 6}, run={"storage": str(tmp_path / "s.sqlite")}), snapshot_every=0)
    copy_study(tmp_path / "s.sqlite", tmp_path / "c.sqlite")
    whole = run_spec(toy_spec())
    assert outcome(run_spec(toy_spec(run={"storage": str(tmp_path / "c.sqlite")}))) == outcome(whole)


def test_a_copy_of_a_running_study_holds_what_was_committed(toy_spec, tmp_path):
    run_spec(toy_spec(budget={"trials": 5}, run={"storage": str(tmp_path / "s.sqlite")}))
    writer = SQLiteStorage(tmp_path / "s.sqlite")  # a run that is still there
    try:
        assert copy_study(tmp_path / "s.sqlite", tmp_path / "c.sqlite") == 5
    finally:
        writer.close()
    assert len(nas.load_study(tmp_path / "c.sqlite").trials) == 5


def test_nothing_is_overwritten_and_nothing_is_made_up(old, tmp_path):
    (tmp_path / "there.sqlite").write_text("mine")
    with pytest.raises(StorageError, match="the file exists already"):
        copy_study(old, tmp_path / "there.sqlite")
    assert (tmp_path / "there.sqlite").read_text() == "mine"
    with pytest.raises(StorageError, match="no study file"):
        copy_study(tmp_path / "nowhere", tmp_path / "x.sqlite")
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(StorageError, match="not a nasplug study file"):
        copy_study(tmp_path / "notes.txt", tmp_path / "x.sqlite")
    assert not (tmp_path / "x.sqlite").exists()
