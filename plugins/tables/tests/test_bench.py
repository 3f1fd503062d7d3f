"""Comparisons: conventions, statistics, files, and the command."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import nasplug_tables.bench
import numpy as np
import pytest
from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.bench import Comparison, Rules, compare, random_search
from nasplug_tables.bench.curves import Scale
from nasplug_tables.spaces.nasbench201 import NASBench201

from nasplug.cli import main
from nasplug.contract.errors import DataError, SpecError

pytest.importorskip("pyarrow")

LIGHTS = Path(__file__).parent / "support" / "lights_plugin.py"


def table() -> Table:
    """All cells of NAS-Bench-201: accuracy counts 3x3 convolutions; validation is off by up to half a point."""
    digits = np.array([np.base_repr(index, 5).zfill(6) for index in range(5**6)]).astype("S")
    count = (digits.view("S1").reshape(-1, 6) == b"3").sum(axis=1).astype(float)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5**6))
    columns = {
        "ops": digits,
        "val_acc_200_seed0": 90 + count + noise[0],
        "val_acc_200_seed1": 90 + count + noise[1],
        "test_acc_200": 89 + count,
        "train_time_200": 100 * (1 + count),
    }
    return Table(columns, {"space": "nasbench201", "unit": "percent"})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return table().write(tmp_path_factory.mktemp("table") / "t.parquet")


def test_conventions_by_hand():
    benchmark = TabularBenchmark(table())
    test = benchmark.values("test_acc")
    rows = np.array([int(np.flatnonzero(test == value)[0]) for value in (89, 92, 91, 95)])
    rows = np.array([rows[0], rows[1], rows[2], -1, rows[3]])
    observed = np.array([90.0, 91.0, 93.0, np.nan, 92.0])  # the third looks best, and is not
    regret = {
        name: Scale(benchmark, "val_acc", "test_acc", name).regret(rows, observed).tolist()
        for name in ("incumbent_test", "best_test")
    }
    assert regret["incumbent_test"] == [6.0, 3.0, 4.0, 4.0, 4.0]
    assert regret["best_test"] == [6.0, 3.0, 3.0, 3.0, 0.0]
    searched = Scale(benchmark, "val_acc", "test_acc", "validation")
    val = benchmark.values("val_acc")
    expected = searched.optimum - val[[rows[0], rows[1], rows[2], rows[2], rows[2]]]
    np.testing.assert_allclose(searched.regret(rows, observed), expected)
    with pytest.raises(SpecError, match="best_test"):
        Scale(benchmark, "val_acc", "test_acc", "best_tset")


def test_failed_first_queries_have_no_regret():
    benchmark = TabularBenchmark(table())
    scale = Scale(benchmark, "val_acc", "test_acc", "incumbent_test")
    found = scale.regret(np.array([-1, 0]), np.array([np.nan, 90.0]))
    assert np.isnan(found[0])
    assert found[1] == 6.0


def test_fractions_are_shown_in_percentage_points():
    share = table()
    columns = {n: (c / 100 if "acc" in n else c) for n, c in share.columns.items()}
    benchmark = TabularBenchmark(Table(columns, share.info))
    scale = Scale(benchmark, "val_acc", "test_acc", "best_test")
    np.testing.assert_allclose(scale.regret(np.array([0]), np.array([0.9])), [6.0])


def test_workers_change_nothing_and_baselines_are_there(path):
    settings = {"queries": 25, "seeds": 3}
    one = compare(path, [], workers=1, **settings)
    two = compare(path, [], workers=2, **settings)
    assert list(one.outcomes) == ["random", "regularized_evolution"]
    for label in one.outcomes:
        np.testing.assert_array_equal(one.outcomes[label].regret, two.outcomes[label].regret)
        assert (np.diff(one.outcomes[label].finished or [0]) >= 0).all()
    # Curves of different seeds differ, and searching helps.
    assert len({tuple(rows) for rows in one.outcomes["random"].rows.tolist()}) == 3
    assert one.outcomes["random"].at(25)[0] < one.outcomes["random"].at(1)[0]


def test_clock(path):
    found = compare(path, [], queries=20, seeds=2, rules=Rules(batch=4, clock=True), workers=1)
    finished = found.outcomes["random"].finished
    assert finished is not None
    assert (np.diff(finished, axis=1) >= 0).all()


def test_file_round_trip(path, tmp_path):
    found = compare(path, {"mine": {"random": {"distinct": False}}}, queries=12, seeds=2, workers=1)
    again = Comparison.read(found.write(tmp_path / "r.json"))
    assert list(again.outcomes) == ["random", "regularized_evolution", "mine"]
    assert again.outcomes["mine"].strategy == {"random": {"distinct": False}}
    np.testing.assert_allclose(again.outcomes["mine"].regret, found.outcomes["mine"].regret, atol=1e-6)
    assert again.settings["seeds"] == [0, 1]
    assert again.table()[0] == found.table()[0]
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(DataError, match="not a comparison"):
        Comparison.read(tmp_path / "r.json")


def test_significance_needs_a_difference(path):
    found = compare(path, {"again": "random"}, queries=30, seeds=4, workers=1)
    assert found.p_value("again", "random") == pytest.approx(0.5, abs=0.2)  # the same runs twice


def test_command(path, tmp_path, capsys):
    out = tmp_path / "regret"
    words = ["bench", "nasbench201", "--table", str(path), "--queries", "15", "--seeds", "2", "--workers", "1"]
    assert main([*words, "--strategy", "again={random: {distinct: false}}", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "@10" in printed
    assert "regularized_evolution" in printed
    assert "again" in printed
    assert json.loads((out / "regret.json").read_text())["summary"]["again"]["15"]["mean"] >= 0
    assert (out / "regret.png").read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["summary"]) == {"random", "regularized_evolution"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategy", "randm"], "random"),
        (["--strategy", "a=random", "--strategy", "a=random"], "two strategies"),
        (["--objective", "val_ac"], "val_acc"),
        (["--strategy", "{random: "], "cannot read"),
        (["--convention", "best"], "best_test"),
    ],
)
def test_command_refuses(path, capsys, words, message):
    assert main(["bench", "nasbench201", "--table", str(path), "--seeds", "1", "--queries", "2", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def lights(tmp_path):
    """A table of the space in a plugin file."""
    rows = np.array(list(itertools.product((0, 1), repeat=6)))
    columns = {f"lamp{lamp}": rows[:, lamp] for lamp in range(6)}
    return Table({**columns, "val_acc_1": rows.sum(axis=1) / 6}, {"space": "lights"}).write(tmp_path / "l.parquet")


def test_a_space_in_a_plugin_file_with_workers(lights, capsys):
    words = ["bench", "lights", "--table", str(lights), "--plugin", str(LIGHTS), "--queries", "5", "--seeds", "2"]
    assert main([*words, "--workers", "2", "--json"]) == 0
    two = json.loads(capsys.readouterr().out)["strategies"]
    words.remove("lights")  # the table says it
    assert main([*words, "--workers", "1", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)["strategies"]
    assert [found["rows"] for found in two.values()] == [found["rows"] for found in one.values()]


def test_a_space_that_cannot_be_sent_is_refused(path):
    class Local(NASBench201):
        """Of a class that no other process can import."""

    with pytest.raises(SpecError, match="importable module"):
        compare(path, [], space=Local(), queries=2, seeds=2, workers=2)
    assert compare(path, [], space=Local(), queries=2, seeds=2, workers=1).outcomes


@pytest.mark.parametrize(
    ("library", "words"), [("scipy", []), ("matplotlib", ["--out", "regret", "--json"])], ids=["scipy", "matplotlib"]
)
def test_a_library_of_the_end_is_asked_for_at_the_start(path, monkeypatch, capsys, library, words):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(nasplug_tables.bench, "compare", lambda *_, **__: pytest.fail("it ran"))
    assert main(["bench", "nasbench201", "--table", str(path), *words]) == 3
    assert 'pip install "nasplug-tables[bench]"' in capsys.readouterr().err


def test_random_search_all_at_once_has_the_law_of_the_strategy(path):
    benchmark = TabularBenchmark(path)
    rows = random_search(benchmark, queries=40, seeds=600)
    assert rows.shape == (600, 40)
    assert all(len(set(run)) == 40 for run in rows.tolist())
    np.testing.assert_array_equal(rows, random_search(benchmark, queries=40, seeds=600))
    scale = Scale(benchmark, "val_acc", "test_acc", "best_test")
    many = np.mean([scale.regret(run, np.zeros(40))[-1] for run in rows])
    few = compare(path, [], queries=40, seeds=40, workers=1, rules=Rules(convention="best_test"), baselines=True)
    mean, error = few.outcomes["random"].at(40)
    assert abs(mean - many) < 4 * error
    with pytest.raises(SpecError, match="distinct"):
        random_search(benchmark, queries=5**6 + 1, seeds=1)
    whole = random_search(benchmark, queries=5**6, seeds=1)
    assert sorted(whole[0].tolist()) == list(range(5**6))


def test_a_picture_is_drawn_into_a_folder_that_is_made(path, tmp_path):
    pytest.importorskip("matplotlib")
    from nasplug_tables.bench.plot import draw

    found = compare(path, [], queries=5, seeds=2, workers=1)
    file = draw(found, tmp_path / "new" / "deep")
    assert file == tmp_path / "new" / "deep" / "regret.png"
    assert file.read_bytes().startswith(b"\x89PNG")
    assert draw(found, tmp_path / "new" / "deep") == file
