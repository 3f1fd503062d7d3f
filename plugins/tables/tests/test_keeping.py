"""Runs of a comparison on disk: taken up again only if they are of the very same kind."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nasplug_tables import Table
from nasplug_tables.bench import Rules, compare
from nasplug_tables.bench.keeping import Kept, digest, facts_of
from nasplug_tables.spaces.columns import ColumnSpace

from nasplug.cli import main

pytest.importorskip("pyarrow")

QUICK = {"queries": 6, "baselines": False}


def table(shift: float = 0.0) -> Table:
    width, op = np.repeat([8, 16, 32, 64], 3), np.tile(["conv", "pool", "skip"], 4).astype("S")
    columns = {"width": width, "op": op, "val_acc_10": width + (op == b"conv") + shift, "test_acc_10": width - 1.0}
    return Table(columns, {"space": "blocks", "choices": ["width", "op"]})


class Stop(Exception):
    pass


def counted(stop_after=None):
    calls = []

    def progress(done, total, label):
        calls.append((done, total, label))
        if stop_after is not None and done == stop_after:
            raise Stop

    return calls, progress


def test_an_interrupted_comparison_goes_on_where_it_was(tmp_path):
    whole = compare(table(), ["random", "local_search"], seeds=3, **QUICK)
    _, stop = counted(stop_after=4)
    with pytest.raises(Stop):
        compare(table(), ["random", "local_search"], seeds=3, keep=tmp_path, progress=stop, **QUICK)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 4
    again = compare(table(), ["random", "local_search"], seeds=3, keep=tmp_path, **QUICK)
    assert len(list(tmp_path.iterdir())) == 6
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for label, outcome in whole.outcomes.items():
        assert np.array_equal(again.outcomes[label].rows, outcome.rows)
        assert np.array_equal(again.outcomes[label].regret, outcome.regret)
        assert np.array_equal(again.outcomes[label].searched, outcome.searched)


def test_a_finished_comparison_grows_by_seeds_and_strategies(tmp_path):
    compare(table(), ["random"], seeds=2, keep=tmp_path, **QUICK)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    grown = compare(table(), ["random", "local_search"], seeds=range(1, 4), keep=tmp_path, **QUICK)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(after) == {f"{name}-{seed}.json" for name in ("random", "local_search") for seed in (1, 2, 3)} | set(
        before
    )
    assert all(after[name] == before[name] for name in before)
    fresh = compare(table(), ["random", "local_search"], seeds=range(1, 4), **QUICK)
    assert np.array_equal(grown.outcomes["random"].rows, fresh.outcomes["random"].rows)


@pytest.mark.parametrize(
    "change",
    [
        {"table": table(shift=0.5)},
        {"space": ColumnSpace(table(), ["op", "width"])},
        {"queries": 5},
        {"rules": Rules(batch=2)},
        {"rules": Rules(noise="mean")},
        {"strategies": {"random": {"random": {"distinct": False}}}},
    ],
    ids=["table", "space", "queries", "batch", "noise", "strategy"],
)
def test_a_run_of_another_kind_is_run_again(tmp_path, change):
    same = {"table": table(), "strategies": {"random": "random"}, "seeds": 1, "keep": tmp_path, **QUICK}
    compare(**same)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    compare(**same)
    assert path.stat().st_mtime_ns == written
    compare(**{**same, **change})
    assert path.stat().st_mtime_ns != written


def test_rules_that_only_read_curves_run_nothing_again(tmp_path):
    first = compare(table(), ["random"], seeds=1, keep=tmp_path, **QUICK)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    second = compare(table(), ["random"], seeds=1, keep=tmp_path, rules=Rules(convention="validation"), **QUICK)
    assert path.stat().st_mtime_ns == written
    assert second.settings["convention"] == "validation"
    assert np.array_equal(first.outcomes["random"].rows, second.outcomes["random"].rows)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"of": {}, "rows": 3}', "null"])
def test_a_damaged_run_is_run_again(tmp_path, text):
    compare(table(), ["random"], seeds=1, keep=tmp_path, **QUICK)
    (path,) = tmp_path.iterdir()
    good = path.read_text()
    path.write_text(text)
    compare(table(), ["random"], seeds=1, keep=tmp_path, **QUICK)
    found, expected = json.loads(path.read_text()), json.loads(good)
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}


def test_arrays_of_other_lengths_are_not_taken(tmp_path):
    kept = Kept(tmp_path, facts_of(table(), ColumnSpace(table()), 2, Rules(), (), "1"))
    run = {
        "rows": np.array([1, -1]),
        "observed": np.array([0.5, np.nan]),
        "finished": np.full(2, np.nan),
        "seconds": 1.0,
    }
    kept.put("a/b", "random", 0, run)
    found = kept.get("a/b", "random", 0)
    assert found["rows"].tolist() == [1, -1]
    assert np.array_equal(found["observed"], run["observed"], equal_nan=True)
    assert kept.get("a-b", "random", 0) is None
    (path,) = tmp_path.iterdir()
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "observed": [0.5]}))
    assert kept.get("a/b", "random", 0) is None


def test_the_content_of_a_table_is_told_apart_and_not_the_order_of_its_columns():
    one = table()
    assert digest(one) == digest(Table(dict(reversed(one.columns.items()))))
    assert digest(one) != digest(table(shift=1e-9))


def test_the_command_goes_on_and_extends(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table().write("t.parquet")
    words = [
        "bench",
        "--table",
        "t.parquet",
        "--queries",
        "5",
        "--workers",
        "1",
        "--no-baselines",
        "--strategy",
        "random",
    ]
    assert main([*words, "--seeds", "2", "--out", "o"]) == 0
    assert "floor: a perfect search by val_acc ends with 0.000" in capsys.readouterr().out
    assert main([*words, "--seeds", "2", "--first-seed", "1", "--out", "o", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["seeds"] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "o" / "runs").iterdir()) == [f"random-{n}.json" for n in range(3)]
