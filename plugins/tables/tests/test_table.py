"""Tables on disk: what comes back, and what a wrong file is told."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_tables import Table
from nasplug_tables.table import Result

from nasplug.contract.errors import DataError

pytest.importorskip("pyarrow")


def small() -> Table:
    return Table(
        {
            "ops": np.array([b"000000", b"303101"]),
            "params": np.array([73_306, 0], dtype=np.uint32),
            "val_acc_200_seed0": np.array([10.0, np.nan]),
        },
        {"space": "nasbench201", "unit": "percent"},
    )


def test_round_trip(tmp_path):
    path = small().write(tmp_path / "sub" / "t.parquet")
    again = Table.read(path)
    assert again.info == {"space": "nasbench201", "unit": "percent"}
    assert list(again.columns) == ["ops", "params", "val_acc_200_seed0"]
    assert again.column("ops").tolist() == [b"000000", b"303101"]
    assert again.column("params").dtype == np.uint32
    np.testing.assert_array_equal(again.column("val_acc_200_seed0"), [10.0, np.nan])
    assert [p.name for p in path.parent.iterdir()] == ["t.parquet"], "no half-written file is left"


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("val_acc_200_seed0", Result("val_acc", 200, 0)),
        ("test_acc_108", Result("test_acc", 108, None)),
        ("train_time_12", Result("train_time", 12, None)),
        ("params", None),
        ("hash64", None),
        ("ops", None),
    ],
)
def test_names_say_what_columns_hold(name, result):
    assert Result.of(name) == result


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Table.read(tmp_path / "absent.parquet")
    whole = small().write(tmp_path / "t.parquet").read_bytes()
    for name, content in {"cut": whole[:-20], "text": b"a,b\n1,2\n", "empty": b""}.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            Table.read(path)


def test_nested_columns_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"ops": [["a"], ["b"]]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="'ops' holds list"):
        Table.read(tmp_path / "t.parquet")


def test_unknown_columns_get_a_suggestion():
    with pytest.raises(DataError, match="val_acc_200_seed0"):
        small().column("val_acc_200_seed")
    with pytest.raises(DataError, match="one length"):
        Table({"a": np.zeros(2), "b": np.zeros(3)})
