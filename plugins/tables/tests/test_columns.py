"""A benchmark published as one file: the columns of a table as a space."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.benchmark import space_of
from nasplug_tables.spaces.columns import ColumnSpace

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import DataError, SpaceError
from nasplug.testing import SpaceConformance

pytest.importorskip("pyarrow")


def table(**more) -> Table:
    rows = list(itertools.product(("gelu", "relu", "swiß"), (8, 16), (0.1, 0.5), (False, True)))
    act, width, drop, bias = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"act": np.char.encode(act, "utf-8"), "width": width, "drop": drop, "bias": bias}
    return Table({**columns, "val_acc_10": np.arange(len(rows)) + 0.5, **more})


class TestColumnSpace(SpaceConformance):
    def make_space(self):
        return ColumnSpace(table(), name="acts")


def test_options_are_the_values_that_occur():
    space = ColumnSpace(table())
    assert {choice.name: choice.options for choice in space.choices} == {
        "act": ("gelu", "relu", "swiß"),
        "width": (8, 16),
        "drop": (0.1, 0.5),
        "bias": (False, True),
    }
    assert space.name == "table_space"


@pytest.mark.parametrize("written", [False, True])
def test_every_row_is_found(tmp_path, written):
    found = table() if not written else Table.read(table().write(tmp_path / "t.parquet"))
    benchmark = TabularBenchmark(found, ColumnSpace(found))
    assert [benchmark.row(benchmark.architecture(row)) for row in range(len(found))] == list(range(len(found)))
    assert benchmark.architecture(23).genotype == ("swiß", 16, 0.5, True)


def test_stated_choices_make_the_space_of_a_table(tmp_path):
    stated = Table(table(note=np.arange(24)).columns, {"space": "acts", "choices": ["act", "width", "drop", "bias"]})
    space = space_of(Table.read(stated.write(tmp_path / "t.parquet")))
    assert (space.name, space.table_columns) == ("acts", ("act", "width", "drop", "bias"))
    study = nas.search(None, space=space, evaluator=TabularBenchmark(stated, space), strategy="local_search", trials=24)
    assert study.best.metrics["val_acc"] == 23.5


def test_rows_that_are_missing_fail_with_that_reason():
    part = Table({name: column[:20] for name, column in table().columns.items()})
    study = nas.search(None, space=ColumnSpace(part), evaluator=TabularBenchmark(part, ColumnSpace(part)), trials=24)
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert len(failed) == 4
    assert all("no row" in trial.failure.message for trial in failed)


@pytest.mark.parametrize(
    ("columns", "choices", "message"),
    [
        ({"val_acc_1": np.array([1.0])}, None, "no column says which architecture"),
        ({"w": np.array([1.0, np.nan]), "val_acc_1": np.zeros(2)}, None, "'w' has 1 empty cell"),
        ({"w": np.arange(2000), "val_acc_1": np.zeros(2000)}, None, "2,000 different values"),
        ({"w": np.array([1]), "val_acc_1": np.zeros(1)}, ["v"], "no column 'v'"),
    ],
)
def test_bad_columns(columns, choices, message):
    with pytest.raises((DataError, SpaceError), match=message):
        ColumnSpace(Table(columns), choices)


class Twins(nas.TableSpace):
    """Two sizes whose order says nothing."""

    def canonical(self, genotype):
        return tuple(sorted(genotype))


def test_one_row_answers_all_genotypes_of_its_network():
    space = Twins("twins", [nas.Choice("a", (1, 2, 3)), nas.Choice("b", (1, 2, 3))])
    rows = [(1, 1), (1, 2), (1, 3), (2, 2), (3, 2), (3, 3)]
    a, b = (np.array(column) for column in zip(*rows, strict=True))
    benchmark = TabularBenchmark(Table({"a": a, "b": b, "val_acc_1": 10.0 * a + b}), space)
    assert benchmark.row(space.architecture([2, 1])) == 1
    assert benchmark.row(space.architecture([2, 3])) == 4
    study = nas.search(None, space=space, evaluator=benchmark, trials=6)
    assert all(trial.state == "complete" for trial in study.trials)


def test_a_row_of_its_own_goes_before_that_of_a_twin():
    space = Twins("twins", [nas.Choice("a", (1, 2)), nas.Choice("b", (1, 2))])
    columns = {"a": np.array([1, 2]), "b": np.array([2, 1]), "val_acc_1": np.array([5.0, 6.0])}
    assert TabularBenchmark(Table(columns), space).row(space.architecture([2, 1])) == 1


CSV = "act,width,val_acc_10_seed0,val_acc_10_seed1\nrelu,8,1,2\ngelu,8,3,4\nrelu,16,5,6\ngelu,16,7,8\n"


def test_from_a_csv_file_to_a_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acts.csv").write_text(CSV)
    assert main(["table", "convert", "csv", "acts.csv", "acts.parquet"]) == 0
    assert "a search in space acts would see val_acc" in capsys.readouterr().out
    words = ["--table", "acts.parquet", "--queries", "4", "--seeds", "2", "--workers", "2"]
    assert main(["bench", *words]) == 0
    assert "random" in capsys.readouterr().out
    assert main(["bench", "{table: {path: acts.parquet}}", *words, "--json"]) == 0


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (CSV, ["--choices", "act"], "two rows hold one architecture"),
        (CSV, ["--choices", "act", "depth"], "no column 'depth'"),
        ("act,width\nrelu,8\n", [], "no results"),
        ("a,val_acc_1\n1,2\n,3\n", [], "1 empty cell"),
        ("a,b,val_acc_1\n1,x,2\n2,,3\n", [], "column 'b' has 1 empty cell"),
        ("a,b,val_acc_1\n0.5,x,2\n,y,3\n", [], "the first is in data row 2"),
        ("a,val_acc,val_loss_1\n1,0.5,2\n2,0.5,3\n", [], "column 'val_acc' looks like results"),
        ("a,test_error,val_loss_1\n1,5,2\n2,6,3\n", [], "test_error_10_seed0"),
        ("a,speed,val_loss_1\n" + "".join(f"{n},{n / 7},1\n" for n in range(12)), [], "column 'speed' looks like"),
        (CSV + "relu,8,1,2\n", [], "data row 5 repeats row 1"),
        ("a,val_acc_1\n1,2\n2,bad\n", [], "the result column 'val_acc_1' holds text\nWhy: such as 'bad'"),
        ("a,val_acc_1,val_acc_2\n1,2,\n2,3,\n", [], "no row has a result of 'val_acc' after 2 epochs"),
        (CSV, ["--info", "license"], "'license' is not KEY=VALUE"),
        (CSV, ["--info", "space=x"], "write --space"),
        (CSV, ["--info", "unit=per cent"], "percent"),
        ("", [], "cannot be read as a table"),
    ],
)
def test_csv_files_that_are_no_benchmark_are_refused_and_nothing_is_written(tmp_path, capsys, text, words, message):
    source, out = tmp_path / "acts.csv", tmp_path / "acts.parquet"
    source.write_text(text)
    assert main(["table", "convert", "csv", str(source), str(out), *words]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_what_is_missing_is_said_and_facts_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acts.csv").write_text("act,width,val_acc_10\nrelu,8,1\ngelu,8,\nrelu,16,5\n")
    words = ["--info", "license=CC-BY-4.0", "--info", "unit=percent", "--info", "source=https://example.org/?a=b"]
    assert main(["table", "convert", "csv", "acts.csv", "acts.parquet", *words]) == 0
    said = capsys.readouterr().out
    assert "1 row without a result of val_acc" in said
    assert "1 combination of the choices without a row" in said
    info = Table.read("acts.parquet").info
    assert (info["license"], info["unit"], info["source"]) == ("CC-BY-4.0", "percent", "https://example.org/?a=b")
    assert main(["table", "info", "acts.parquet", "--json"]) == 0
    search = json.loads(capsys.readouterr().out)["search"]
    assert (search["missing_results"], search["missing_rows"]) == ({"val_acc": 1}, 1)


def test_fractions_that_are_choices_may_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n / 7},{n}\n" for n in range(12))
    (tmp_path / "rates.csv").write_text("rate,val_acc_1\n" + rows)
    assert main(["table", "convert", "csv", "rates.csv", "rates.parquet"]) == 2
    assert main(["table", "convert", "csv", "rates.csv", "rates.parquet", "--choices", "rate"]) == 0


def test_a_space_that_nobody_has_is_named():
    table = Table({"a": np.array([1, 2]), "val_acc_1": np.array([5.0, 6.0])}, {"space": "elsewhere"})
    with pytest.raises(DataError, match="of space 'elsewhere', which no loaded plugin has"):
        space_of(table)
