"""Tests of `nasplug_darts_lp.supernet.rounds`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.supernet import training

import nasplug as nas

TASK = nas.component("image_classification", limit=80, batch_size=16)
SPACE = nas.component(
    "darts_lp.layers", width=0.125, blocks=1, weight_bits=[1, 4], activation_bits=[2, 8], first_last_bits=None
)


STRATEGY = {"rounds": 2, "epochs": 1, "derive": 2, "logits": {"warmup": 0.0}}


def search(storage=None, strategy=None, task=TASK, space=SPACE, **more):
    options = {"objectives": {"val_acc": "max"}, "epochs": 1, "batch": 2, "progress": False, "trials": 20} | more
    strategy = nas.component("darts_lp.search", **{**STRATEGY, **(strategy or {})})
    return nas.search(task, space=space, strategy=strategy, storage=storage, **options)


def rounds_of(path):
    return nas.load_study(path).artifacts() / "darts_lp"


def count_rounds(monkeypatch):
    trained = []
    original = training.train_round

    def counted(*arguments):
        trained.append(arguments[3])
        return original(*arguments)

    monkeypatch.setattr("nasplug_darts_lp.supernet.rounds.train_round", counted)
    return trained


def test_a_resumed_search_reads_its_rounds(tmp_path, monkeypatch):
    path = tmp_path / "study.sqlite"
    whole = search(strategy={"rounds": 3, "derive": 1})
    trained = count_rounds(monkeypatch)
    search(path, strategy={"rounds": 3, "derive": 1}, trials=2, batch=1)
    assert trained == [0, 1]
    assert sorted(file.name for file in rounds_of(path).iterdir()) == [
        "round-000.json",
        "round-000.safetensors",
        "round-001.json",
        "round-001.safetensors",
    ]
    resumed = search(path, strategy={"rounds": 3, "derive": 1}, batch=1)
    assert trained == [0, 1, 2]
    assert keys(resumed) == keys(whole)
    assert [t.proposal.info for t in resumed.trials] == [t.proposal.info for t in whole.trials]


@pytest.mark.parametrize("damage", ["states", "all", "cut"])
def test_files_that_are_gone_are_made_again(damage, tmp_path, monkeypatch):
    path = tmp_path / "study.sqlite"
    options = {"strategy": {"rounds": 3, "derive": 1}, "batch": 1}
    search(path, trials=2, **options)
    for file in rounds_of(path).iterdir():
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:40])
        elif damage == "all" or file.suffix == ".safetensors":
            file.unlink()
    assert keys(search(path, **options)) == keys(search(**options))


def test_files_of_another_search_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "study.sqlite"
    search(path, strategy={"rounds": 1, "derive": 1})
    for name in ("study.sqlite", "study.sqlite-wal", "study.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    trained = count_rounds(monkeypatch)
    search(path, strategy={"rounds": 1, "derive": 1}, seed=1)
    assert trained == [0]


def keys(study):
    return [trial.architecture.key for trial in study.trials]
