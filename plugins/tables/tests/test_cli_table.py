"""`nasplug table info` and `nasplug table convert`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nasplug_tables.spaces.nasbench101.cells import OPERATIONS, Cell, module_hash, parameters
from nasplug_tables.table import Table
from official_files import evaluation, model_metrics, tfrecord, training

from nasplug.cli import main

LIGHTS = Path(__file__).parent / "support" / "lights_plugin.py"


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.fixture
def official(tmp_path):
    """Two cells of NAS-Bench-101, trained once each."""
    records = []
    for cell, accuracy in ((Cell(0b1, ()), 0.7), (Cell(0b101, (1,)), 0.8)):
        matrix = "".join(map(str, cell.matrix().ravel().tolist()))
        names = ",".join(["input", *(OPERATIONS[digit] for digit in cell.operations), "output"])
        looks = [evaluation(epoch, 10.0 * epoch, 1.0, accuracy, accuracy - 0.1) for epoch in (0, 54, 108)]
        records.append(training(module_hash(cell), 108, matrix, names, model_metrics(looks, parameters(cell))))
    path = tmp_path / "nasbench_only108.tfrecord"
    path.write_bytes(tfrecord(records))
    return path


def test_convert_and_info(cli, official):
    code, out, _ = cli("table", "convert", "nasbench101", official, "nb101.parquet")
    assert code == 0
    assert "nb101.parquet: 2 rows" in out
    assert "a search in space nasbench101 would see val_acc (max)" in out
    assert "val_acc: epochs 108, mean of runs; best mean 0.8" in out
    code, again, _ = cli("table", "info", "nb101.parquet")
    assert (code, again) == (0, out)


def test_json(cli, official):
    code, out, _ = cli("table", "convert", "nasbench101", official, "nb101.parquet", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["rows"] == 2
    assert found["info"]["unit"] == "fraction"
    assert found["columns"]["params"]["type"] == "uint32"
    assert found["columns"]["ops"] == {"type": "text", "present": 1}  # one cell has no operations
    column = found["columns"]["val_acc_108_seed0"]
    assert (column["min"], column["mean"], column["max"]) == pytest.approx((0.7, 0.75, 0.8))
    assert found["search"]["best"]["test_acc"] == pytest.approx(0.7)
    assert found["search"]["budgets"]["train_time"] == [108]
    assert found["problem"] is None


def test_tables_that_only_price(cli, tmp_path):
    Table({"index": np.arange(3), "a_latency": np.array([1.0, np.nan, 2.0])}).write(tmp_path / "hw.parquet")
    code, out, _ = cli("table", "info", "hw.parquet")
    assert code == 0
    assert "no search can run on it" in out
    assert "target: table:FILE#DEVICE" in out
    row = next(line for line in out.splitlines() if line.startswith("a_latency"))
    assert row.split() == ["a_latency", "float64", "2", "1", "1.5", "2"]


def test_tables_of_a_space_that_a_plugin_has(cli, tmp_path, monkeypatch):
    columns = {f"lamp{lamp}": np.array([0, 1]) for lamp in range(6)}
    Table({**columns, "val_acc_1": np.array([0.2, 0.4])}, {"space": "lights"}).write(tmp_path / "lights.parquet")
    code, out, _ = cli("table", "info", "lights.parquet")
    assert code == 0
    assert "no search can run on it" in out
    code, out, _ = cli("table", "info", "lights.parquet", "--plugin", LIGHTS)
    assert code == 0
    assert "a search in space lights would see val_acc (max)" in out


def test_an_existing_table_is_kept(cli, official, tmp_path):
    (tmp_path / "nb101.parquet").write_text("mine")
    code, _, err = cli("table", "convert", "nasbench101", official, "nb101.parquet")
    assert code == 2
    assert "the file exists" in err
    assert (tmp_path / "nb101.parquet").read_text() == "mine"
    assert cli("table", "convert", "nasbench101", official, "nb101.parquet", "--force")[0] == 0
    assert len(Table.read("nb101.parquet")) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("convert", "nasbench-101", "x", "o.parquet"), "did you mean 'nasbench101'"),
        (("convert", "nasbench101", "x", "o.parquet"), "no such file"),
        (("convert", "nats", "x", "o.parquet"), "name one of cifar10, cifar100"),
        (("convert", "nats", "x"), "required: OUT.parquet"),
        (("convert", "nats", "x", "o.parquet", "--choices", "a"), "--choices is for csv"),
        (("info", "x.parquet"), "no such file"),
        (("inform", "x.parquet"), "choose from"),
        ((), "required: COMMAND"),
    ],
)
def test_bad_commands(cli, tmp_path, words, says):
    code, out, err = cli("table", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert not (tmp_path / "o.parquet").exists()


def test_help_lists_the_formats(cli):
    code, out, _ = cli("table", "convert", "--help")
    assert code == 0
    assert all(name in out for name in ("nasbench_only108.tfrecord", "NATS-tss-", "--dataset cifar10 | cifar100"))
