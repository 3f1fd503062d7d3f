from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data import ImageArrays, cache


def arrays(value: int = 7) -> ImageArrays:
    x = np.full((4, 2, 2, 3), value, np.uint8)
    y = np.array([0, 1, 0, 1])
    return ImageArrays(x, y, x_test=x[:2], y_test=y[:2], classes=("cat", "dog"), where="here")


class Decoder:
    """Counts how often it is asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self) -> ImageArrays:
        self.calls += 1
        return arrays()


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(b"abc")
    return path


def test_the_second_load_reads_mapped_memory(file):
    decode = Decoder()
    first = cache.cached("Kind", [file], {"size": 2}, decode)
    second = cache.cached("Kind", [file], {"size": 2}, decode)
    assert decode.calls == 1
    assert second.classes == ("cat", "dog")
    assert second.x_val is None
    for (name, one), (other, two) in zip(first.items(), second.items(), strict=True):
        assert name == other
        np.testing.assert_array_equal(one, two)
    assert isinstance(second.x_train.base, np.memmap)
    assert second.x_train.flags.writeable  # a private copy-on-write map: torch takes it without a copy
    second.x_train[:] = 0
    assert (cache.cached("Kind", [file], {"size": 2}, decode).x_train == 7).all()


def test_the_key_follows_the_file_and_the_arguments(file):
    decode = Decoder()
    cache.cached("Kind", [file], {"size": 2}, decode)
    cache.cached("Kind", [file], {"size": 3}, decode)
    cache.cached("Other", [file], {"size": 2}, decode)
    file.write_bytes(b"abcd")
    cache.cached("Kind", [file], {"size": 2}, decode)
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    cache.cached("Kind", [file], {"size": 2}, decode)
    assert decode.calls == 5


@pytest.mark.parametrize("damage", ["truncate", "remove", "garbage", "labels"])
def test_a_damaged_entry_is_decoded_again(file, damage):
    decode = Decoder()
    cache.cached("Kind", [file], {}, decode)
    (entry,) = [item for item in (cache.cache_folder() / "images").iterdir() if item.is_dir()]
    if damage == "truncate":
        (entry / "x_train.npy").write_bytes((entry / "x_train.npy").read_bytes()[:100])
    elif damage == "remove":
        (entry / "y_test.npy").unlink()
    elif damage == "labels":
        np.save(entry / "y_train.npy", np.array([0, 1, 0, 9]))
    else:
        (entry / "about.json").write_text("not json")
    with pytest.warns(UserWarning, match="damaged"):
        again = cache.cached("Kind", [file], {}, decode)
    assert decode.calls == 2
    assert (again.x_train == 7).all()
    cache.cached("Kind", [file], {}, decode)
    assert decode.calls == 2


def test_a_full_disk_costs_a_warning_and_leaves_nothing(file, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.np, "save", full)
    with pytest.warns(UserWarning, match=r"No space left.*NASPLUG_CACHE"):
        got = cache.cached("Kind", [file], {}, arrays)
    assert (got.x_train == 7).all()
    assert [item for item in (cache.cache_folder() / "images").iterdir() if item.is_dir()] == []


def test_a_cache_folder_that_cannot_be_made(file, tmp_path, monkeypatch):
    (tmp_path / "in_the_way").write_text("a file")
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "in_the_way"))
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert (cache.cached("Kind", [file], {}, arrays).x_train == 7).all()


def test_an_error_of_the_source_is_not_a_cache_error(file):
    def broken() -> ImageArrays:
        raise DataError("truncated")

    with pytest.raises(DataError, match="truncated"):
        cache.cached("Kind", [file], {}, broken)


def test_the_folder_without_a_choice_is_the_users(monkeypatch):
    monkeypatch.delenv("NASPLUG_CACHE")
    assert cache.cache_folder().name in ("nasplug", "Cache")
    monkeypatch.setenv("NASPLUG_CACHE", "~/mine")
    assert cache.cache_folder() == Path.home() / "mine"


def _load_and_log(path: Path, log: Path, barrier) -> None:
    def decode() -> ImageArrays:
        with log.open("a") as lines:
            lines.write("decoded\n")
        return arrays()

    barrier.wait(timeout=60)
    got = cache.cached("Kind", [path], {}, decode)
    assert (got.x_train == 7).all()


def test_two_processes_decode_once(file, tmp_path):
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    barrier, log = context.Barrier(2), tmp_path / "log"
    workers = [context.Process(target=_load_and_log, args=(file, log, barrier)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert log.read_text() == "decoded\n"


def test_losing_the_race_without_a_lock_is_harmless(file, monkeypatch, recwarn):
    def decode() -> ImageArrays:
        cache.cached("Kind", [file], {}, arrays)  # another process, which locks could not keep away
        return arrays()

    def no_lock(*_args):
        raise NotImplementedError

    monkeypatch.setattr(cache.filelock, "FileLock", no_lock)
    assert (cache.cached("Kind", [file], {}, decode).x_train == 7).all()
    assert not [str(item.message) for item in recwarn if "cannot be kept" in str(item.message)]
    assert not list((cache.cache_folder() / "images").glob("*.part"))
