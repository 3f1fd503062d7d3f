from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data import Cifar
from nasplug.data.pickles import load_arrays

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
Y = [0, 1, 2] * 4


def rows(images: np.ndarray) -> np.ndarray:
    """One colour plane after the other, as the official files have them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))


def python2_pickle(data: np.ndarray, labels: list[int], key: bytes) -> bytes:
    """A batch exactly as Python 2 and numpy 1 wrote the official files: byte strings, numpy.core names."""
    out = io.BytesIO()

    def string(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + len(text).to_bytes(4, "little") + text

    out.write(b"\x80\x02}(")
    out.write(string(b"data"))
    out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01")
    out.write(b"M" + len(data).to_bytes(2, "little") + b"M" + (3072).to_bytes(2, "little") + b"\x86")
    out.write(b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    out.write(b"\x89" + string(data.tobytes()) + b"tb")
    out.write(string(key) + b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e")
    out.write(b"u.")
    return out.getvalue()


def write_cifar10(folder, dump=None):
    folder.mkdir(parents=True)
    dump = dump or (lambda data, labels: pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
    for number in range(5):
        part = slice(2 * number, 2 * number + 2)
        (folder / f"data_batch_{number + 1}").write_bytes(dump(rows(X[part]), Y[part]))
    (folder / "test_batch").write_bytes(dump(rows(X[10:]), Y[10:]))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "car", "bird"]}, protocol=2))


@pytest.mark.parametrize("writer", ["python2", "python3", "protocol5"])
@pytest.mark.parametrize("inside", [True, False])
def test_reads_the_python_version(tmp_path, writer, inside):
    dumps = {
        "python2": lambda data, labels: python2_pickle(data, labels, b"labels"),
        "python3": None,
        "protocol5": lambda data, labels: pickle.dumps({"data": data, "labels": labels}, protocol=4),
    }
    write_cifar10(tmp_path / "cifar-10-batches-py", dumps[writer])
    source = Cifar(str(tmp_path / "cifar-10-batches-py" if inside else tmp_path))
    source.check()
    arrays = source.load()
    np.testing.assert_array_equal(arrays.x_train, X[:10])
    np.testing.assert_array_equal(arrays.x_test, X[10:])
    assert arrays.y_train.tolist() == Y[:10]
    assert arrays.classes == ("plane", "car", "bird")
    assert isinstance(source.load().x_train.base, np.memmap)


def test_reads_cifar100(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, part in (("train", slice(0, 10)), ("test", slice(10, 12))):
        batch = {b"data": rows(X[part]), b"fine_labels": Y[part], b"coarse_labels": [0] * len(Y[part])}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"apple", b"bear", b"cup"]}, protocol=2))
    arrays = Cifar(str(tmp_path), variant="cifar100").load()
    assert arrays.y_train.tolist() == Y[:10]
    assert arrays.classes == ("apple", "bear", "cup")


@pytest.mark.parametrize("variant", ["cifar10", "cifar100"])
def test_reads_the_binary_version(tmp_path, variant):
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin", "batches.meta.txt"]
    folder, parts = tmp_path / "cifar-10-batches-bin", 5
    if variant == "cifar100":
        folder, parts, names = tmp_path / "cifar-100-binary", 1, ["train.bin", "test.bin", "fine_label_names.txt"]
    folder.mkdir()
    labels = np.array(Y, np.uint8)[:, None]
    coarse = [np.full((12, 1), 9, np.uint8)] if variant == "cifar100" else []
    records = np.concatenate([*coarse, labels, rows(X)], axis=1)
    for name, part in zip(names, [*np.split(records[:10], parts), records[10:]], strict=False):
        (folder / name).write_bytes(part.tobytes())
    (folder / names[-1]).write_text("plane\ncar\nbird\n\n")
    arrays = Cifar(str(tmp_path), variant=variant).load()
    np.testing.assert_array_equal(arrays.x_train, X[:10])
    np.testing.assert_array_equal(arrays.x_test, X[10:])
    assert arrays.y_train.tolist() == Y[:10]
    assert arrays.classes == ("plane", "car", "bird")
    (folder / names[0]).write_bytes((folder / names[0]).read_bytes()[:-1])
    with pytest.raises(DataError, match="not a multiple of"):
        Cifar(str(tmp_path), variant=variant).load()


class Runs:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "build",
    [
        lambda trap: pickle.dumps({"data": Runs(os.system, f"touch {trap}")}),
        lambda trap: pickle.dumps({"data": Runs(eval, f"open({str(trap)!r}, 'w')")}, protocol=2),
        lambda trap: pickle.dumps({"data": Runs(np.load, str(trap))}, protocol=4),
        lambda trap: b"cnumpy\nload\n(V" + str(trap).encode() + b"\ntR.",
        lambda trap: b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.",
        lambda trap: b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
        lambda trap: b"c__builtin__\ngetattr\n(cnumpy\ndtype\nS'__class__'\ntR.",
        lambda trap: b"\x82\x01.",
        lambda trap: b"P1\n.",
    ],
)
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, build):
    trap, path = tmp_path / "trap", tmp_path / "batch"
    path.write_bytes(build(trap))
    with pytest.raises(DataError, match="not a pickle of plain arrays"):
        load_arrays(path)
    assert not trap.exists()


def test_the_command_would_have_run_without_the_guard(tmp_path):
    pickle.loads(pickle.dumps({"data": Runs(os.system, f"touch {tmp_path / 'trap'}")}))
    assert (tmp_path / "trap").exists()


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "batch"
    for array in (np.array([{}, []], dtype=object), np.array([("a", 1)], dtype="U3,i4"), np.array(["2020"], "M8[D]")):
        path.write_bytes(pickle.dumps({"data": array}, protocol=2))
        with pytest.raises(DataError, match="an array of"):
            load_arrays(path)


@pytest.mark.parametrize("keep", [0, 1, 20, 100, 2000, -1])
def test_a_truncated_pickle_is_one_clear_error(tmp_path, keep):
    path = tmp_path / "batch"
    path.write_bytes(python2_pickle(rows(X[:2]), Y[:2], b"labels")[:keep])
    with pytest.raises(DataError, match=r"batch: the file is not a pickle"):
        load_arrays(path)


def test_every_damaged_byte_is_a_value_or_one_clear_error(tmp_path):
    path, rng = tmp_path / "batch", np.random.default_rng(1)
    whole = python2_pickle(rows(X[:2]), Y[:2], b"labels")
    pickletools.dis(whole, io.StringIO())  # the hand-written pickle is a proper one
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(0, 150))] = int(rng.integers(0, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            assert isinstance(load_arrays(path), dict)


def test_batches_that_are_not_cifar(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10(folder)
    (folder / "data_batch_2").write_bytes(pickle.dumps({"data": X, "labels": Y}, protocol=2))
    with pytest.raises(DataError, match="no uint8 array 'data'"):
        Cifar(str(tmp_path)).load()
    (folder / "data_batch_2").write_bytes(pickle.dumps({"data": rows(X[:2]), "labels": [1, "x"]}, protocol=2))
    with pytest.raises(DataError, match="no list 'labels' of 2"):
        Cifar(str(tmp_path)).load()
    (folder / "data_batch_2").unlink()
    with pytest.raises(DataError, match="'data_batch_2' is missing"):
        Cifar(str(tmp_path)).check()


def test_an_archive_that_is_not_unpacked(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="tar xzf cifar-10-python"):
        Cifar(str(tmp_path)).check()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cifar-100-python"):
        Cifar(str(tmp_path / "empty"), "cifar100").check()
    with pytest.raises(DataError, match="no variant"):
        Cifar(str(tmp_path), "cifar11").check()
