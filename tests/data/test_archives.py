"""Archives of arrays are opened without pickle, and refused in one way whatever is wrong with them."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from nasplug.contract.errors import DataError, StorageError
from nasplug.data.archives import arrays_in


def test_arrays_are_read_inside_the_block(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2)))
    with arrays_in(tmp_path / "a.npz") as file:
        assert sorted(file.files) == ["x", "y"]
        np.testing.assert_array_equal(file["x"], np.arange(3))


def _member(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "No data left"),
        (b"no archive", "pickled"),
        (_member("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"), "MemoryError"),
        (_member("{'descr': '<f8"), "TokenError"),
        (_member("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "Object arrays"),
    ],
)
def test_damage_is_one_message_that_names_the_file(tmp_path, data, why):
    path = tmp_path / "odd.npz"
    path.write_bytes(data)
    with pytest.raises(StorageError, match=rf"odd.npz: cannot read the vectors[\s\S]*{why}[\s\S]*Do: embed them"):  # noqa: SIM117
        with arrays_in(path, what="the vectors", fix="embed them", error=StorageError) as file:
            np.asarray(file["x"])


def test_one_array_is_not_a_collection(tmp_path):
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(DataError, match="one array, not a collection"), arrays_in(tmp_path / "one.npz"):
        raise AssertionError("opened")


def test_what_is_missing_inside_is_said(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with pytest.raises(DataError, match=r"a\.npz[\s\S]*KeyError"), arrays_in(tmp_path / "a.npz") as file:
        np.asarray(file["y"])
