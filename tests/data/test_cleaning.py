"""What of the cache is used, and what may go."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from nasplug.data import ImageArrays
from nasplug.data.cache import cached
from nasplug.data.cleaning import delete, kept, unused
from nasplug.data.kept import kept_folder

DAY = 86_400


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "source.bin"
    path.write_bytes(b"abc")
    return path


def make(folder):
    np.save(folder / "image0.npy", np.zeros(100, np.uint8))


def aged(path, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def test_old_entries_go_and_are_made_again(cache, file):
    old, new = (kept_folder("volumes", [file], {"slices": axis}, make) for axis in (0, 1))
    aged(old, 31)
    assert [entry.path for entry in unused(30)] == [old]
    assert {entry.path: entry.size for entry in kept()} == dict.fromkeys([old, new], 228)
    delete(unused(30))
    assert not old.exists()
    assert [path.name for path in (cache / "volumes").iterdir() if path.name.startswith(old.name)] == []
    assert new.is_dir()
    assert kept_folder("volumes", [file], {"slices": 0}, make) == old
    assert (old / "image0.npy").is_file()


def test_an_entry_in_use_is_spared(file):
    entry = aged(kept_folder("volumes", [file], {}, make), 31)
    kept_folder("volumes", [file], {}, make)
    assert unused(30) == []
    assert [found.path for found in unused(0)] == [entry]


def test_decoded_images_are_entries_too(file):
    x = np.zeros((2, 2, 2, 3), np.uint8)
    y = np.array([0, 1])

    def load():
        return cached("Npz", [file], {}, lambda: ImageArrays(x, y, x, y, classes=("cat", "dog"), where="here"))

    load()
    (entry,) = kept()
    aged(entry.path, 31)
    load()
    assert unused(30) == []
    delete(kept())
    assert kept() == []
    assert load().x_train.shape == x.shape


def test_what_a_dead_process_left_goes_after_a_day(file):
    whole = kept_folder("volumes", [file], {}, make)
    part = whole.with_name(f"{whole.name}.abc.part")
    part.mkdir()
    assert part not in [entry.path for entry in unused(0)]
    aged(part, 2)
    assert [entry.path for entry in unused(1)] == [part]


def test_nothing_else_is_touched(cache, file, tmp_path):
    whole = kept_folder("volumes", [file], {}, make)
    mine = cache / "volumes" / "precious"
    mine.mkdir()
    link = whole.with_name("volumes-" + 32 * "0")
    link.symlink_to(tmp_path)
    delete(unused(0))
    assert mine.is_dir()
    assert link.is_symlink()
    assert file.is_file()


def test_an_empty_cache_has_no_entries():
    assert kept() == []
