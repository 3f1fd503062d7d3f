"""Pickles are read as plain data: what a file names is never imported or called."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from nasplug_tables.readers.plain_pickle import Skipped, load_plain

from nasplug.contract.errors import DataError


def load(data: bytes):
    return load_plain(io.BytesIO(data), "file.pkl", "a table")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_plain_data_come_through(protocol):
    value = {
        "numbers": [1, 2.5, True, None, -(2**70)],
        ("a", 1): OrderedDict([("x", {"y"})]),
        "numpy": [np.float32(0.5), np.float64(0.1), np.int64(-3), np.bool_(True)],
    }
    found = load(pickle.dumps(value, protocol=protocol))
    assert found == value
    assert [type(number) for number in found["numpy"]] == [float, float, int, bool]


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_and_weights_are_skipped(protocol):
    torch = pytest.importorskip("torch")
    value = {"array": np.arange(6).reshape(2, 3), "weights": OrderedDict(w=torch.ones(2, 2)), "left": 7}
    found = load(pickle.dumps(value, protocol=protocol))
    assert isinstance(found["array"], Skipped)
    assert isinstance(found["weights"]["w"], Skipped)
    assert found["left"] == 7


class Evil:
    """Writes a file when it is unpickled in the usual way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Pathological:
    def __reduce__(self):
        return eval, ("1 + 1",)


def test_a_pickle_with_orders_is_refused_and_nothing_runs(tmp_path):
    mark = tmp_path / "mark"
    data = pickle.dumps({"cell": Evil(mark)})
    with pytest.raises(DataError, match=r"names (posix|nt)\.system, which plain data do not need"):
        load(data)
    assert not mark.exists()
    pickle.loads(data)
    assert mark.exists()  # the test would notice


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pickle.dumps({"x": Pathological()}), "names builtins.eval"),
        (pickle.dumps({"x": Path("a")}), "names pathlib"),
        (pickle.dumps({"x": np.array(["a"], dtype=object)[0:1].dtype}), "numbers of type 'O8'"),
        (pickle.dumps([1, 2]), "holds a list, not a dictionary"),
        (pickle.dumps({"x": 1})[:-3], "not a table"),
        (b"", "not a table"),
        (b"PAR1 something else", "not a table"),
        (b"cnumpy\nndarray\n(tR.", "holds a Skipped, not a dictionary"),
    ],
)
def test_other_pickles_are_refused(data, says):
    with pytest.raises(DataError, match=says) as error:
        load(data)
    assert str(error.value).startswith("file.pkl: the file is not a table")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i4", "f8", "u2"])
def test_numbers_of_either_byte_order_are_read_as_they_are(order, kind):
    value = np.array([258], dtype=order + kind)[0]
    assert load(pickle.dumps({"a": value, "b": np.dtype(order + kind).type(3)}, protocol=4)) == {"a": 258, "b": 3}


def test_a_number_that_says_its_byte_order_is_read_by_it():
    """NumPy writes its own order for scalars; files of other machines say theirs."""
    written = pickle.dumps({"a": np.float64(1.5)}, protocol=4)
    assert written.count(b"<") == 1
    swapped = written.replace(b"<", b">").replace(np.float64(1.5).tobytes(), np.array(1.5, ">f8").tobytes())
    assert load(swapped) == {"a": 1.5}
    with pytest.raises(DataError, match="byte order '!'"):
        load(written.replace(b"<", b"!"))
