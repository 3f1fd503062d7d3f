from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data import Idx
from nasplug.data.idx import read_idx

X = np.random.default_rng(0).integers(0, 256, (6, 5, 4)).astype(np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder, separator="-", suffix="", train="train", test="t10k"):
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    for part, x, y in ((train, X, Y), (test, X[:3], Y[:3])):
        (folder / f"{part}-images{separator}idx3-ubyte{suffix}").write_bytes(pack(idx(x)))
        (folder / f"{part}-labels{separator}idx1-ubyte{suffix}").write_bytes(pack(idx(y)))


@pytest.mark.parametrize(("place", "separator", "suffix"), [(".", "-", ""), ("raw", "-", ".gz"), (".", ".", "")])
def test_reads_the_official_names(tmp_path, place, separator, suffix):
    write(tmp_path / place, separator, suffix)
    source = Idx(str(tmp_path), classes=["shirt", "shoe", "bag"])
    source.check()
    arrays = source.load()
    np.testing.assert_array_equal(arrays.x_train, X)
    np.testing.assert_array_equal(arrays.y_train, Y)
    np.testing.assert_array_equal(arrays.x_test, X[:3])
    assert arrays.classes == ("shirt", "shoe", "bag")
    assert arrays.x_train.flags.writeable


def test_reads_the_names_of_emnist(tmp_path):
    write(tmp_path, suffix=".gz", train="emnist-digits-train", test="emnist-digits-test")
    assert len(Idx(str(tmp_path), "emnist-digits-train", "emnist-digits-test").load().y_train) == 6
    with pytest.raises(DataError, match="no file train-images-idx3-ubyte"):
        Idx(str(tmp_path)).check()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (idx(X)[:-1], "header promises 120"),
        (idx(X) + b"x", "header promises 120"),
        (idx(Y) + bytes(9), "3-dimensional"),
        (b"\x89PNG" + bytes(40), "does not start"),
        (b"\x00\x00", "cannot read"),
        (struct.pack(">HBB", 0, 8, 3) + b"\x00" * 5, "cannot read"),
        (struct.pack(">HBB3I", 0, 0x0D, 3, 1, 1, 1) + bytes(4), "does not start"),
    ],
)
def test_refuses_damaged_files(tmp_path, raw, message):
    for name, content in (("a", raw), ("a.gz", gzip.compress(raw))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / name, 3)


def test_refuses_a_truncated_gzip(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(X))[:-12])
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path / "a.gz", 3)


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Idx(str(tmp_path / "nothing")).check()
