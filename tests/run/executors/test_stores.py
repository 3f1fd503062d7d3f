"""Stores between machines: what is put comes back, and what goes wrong is said once."""

from __future__ import annotations

import pickle

import pytest

from nasplug.contract.errors import SpecError, StorageError
from nasplug.run.executors.stores import SharedFolder, UrlStore, open_store


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.fixture
def store(tmp_path):
    return UrlStore(f"file://{tmp_path / 'share'}", "0123abcd")


def test_files_come_back_as_they_went(store, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, "trial-00001/weights.bin", "one")
    write(here, "jobs/k/a.txt", "two")
    assert store.names("") == []
    store.put(here, ["trial-00001/weights.bin", "jobs/k/a.txt"])
    other = pickle.loads(pickle.dumps(store))
    assert other.names("") == ["jobs/k/a.txt", "trial-00001/weights.bin"]
    assert other.names("jobs") == ["jobs/k/a.txt"]
    assert other.names("trial-00002") == []
    other.get(there, other.names("trial-00001"))
    assert (there / "trial-00001/weights.bin").read_text() == "one"
    assert not (there / "jobs").exists()


def test_a_file_may_be_written_again(store, tmp_path):
    for text in ("old", "new"):
        write(tmp_path / "here", "a.txt", text)
        store.put(tmp_path / "here", ["a.txt"])
        store.get(tmp_path / "there", ["a.txt"])
        assert (tmp_path / "there" / "a.txt").read_text() == text
    assert store.names("") == ["a.txt"]


def test_studies_do_not_meet(store, tmp_path):
    write(tmp_path / "here", "a.txt", "mine")
    store.put(tmp_path / "here", ["a.txt"])
    assert UrlStore(store.url, "other").names("") == []


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt"])
def test_names_that_lead_out_of_the_study_are_refused(store, tmp_path, name):
    with pytest.raises(StorageError, match="outside the study"):
        store.get(tmp_path / "there", [name])


def test_what_is_missing_is_said_with_the_url(store, tmp_path):
    with pytest.raises(StorageError, match="cannot read the store") as caught:
        store.get(tmp_path / "there", ["gone.txt"])
    assert store.url in str(caught.value)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    write(tmp_path, "a.txt", "x")
    with pytest.raises(StorageError, match="cannot write the store"):
        UrlStore(f"file://{tmp_path / 'file'}", "s").put(tmp_path, ["a.txt"])


def test_an_unknown_protocol(tmp_path):
    with pytest.raises(SpecError, match="cannot open the store 'carrier-pigeon://x'"):
        UrlStore("carrier-pigeon://x", "s").names("")


def test_without_a_url_nothing_travels(tmp_path):
    store = open_store(None, tmp_path)
    assert isinstance(store, SharedFolder)
    assert store.shared
    store.put(tmp_path, ["never-there"])
    store.get(tmp_path, ["never-there"])
    assert store.names("") == []
    assert open_store("file:///x", tmp_path / "id").study == "id"
