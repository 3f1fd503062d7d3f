"""A study can be read where nothing can be written: on a full disk, and in a folder of somebody else."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from nasplug.contract.errors import StorageError
from nasplug.ledger.sqlite import SQLiteStorage
from tests.faults.studies import Sample, fingerprint, samples


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    return samples(tmp_path_factory.mktemp("studies"), long=80)


@pytest.fixture
def shared_folder():
    """A folder that other users can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _in_child(work) -> str:
    """Does something in a process of its own, and returns what it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def _copy(sample: Sample, folder: Path) -> Path:
    shutil.copytree(sample.folder, folder)
    return folder / "s.sqlite"


@pytest.mark.parametrize("index", [0, 3])
def test_on_a_full_disk(studies, tmp_path, index):
    sample = studies[index]
    path = _copy(sample, tmp_path / "copy")

    def read():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return fingerprint(path)

    if index == 0:
        assert _in_child(read) == sample.state
    else:  # the last trials are in the log, and the temporary folder is full as well
        said = _in_child(read)
        assert said == sample.state or ("StorageError" in said and "in 's.sqlite-wal'" in said)


@pytest.mark.parametrize("index", range(5))
def test_in_a_folder_that_is_read_only(studies, shared_folder, index):
    sample = studies[index]
    path = _copy(sample, shared_folder / "copy")
    files = [path, *path.parent.glob("s.sqlite-*")]
    before = {file: file.read_bytes() for file in files if file.is_file()}
    for file in before:
        file.chmod(0o444)
    path.parent.chmod(0o555)

    def read():
        if os.geteuid() == 0:  # nothing is read only for root
            os.setgid(65534)
            os.setuid(65534)
        said = fingerprint(path)
        try:
            SQLiteStorage(path)
        except StorageError as error:
            return said if "Permission denied" in str(error) else str(error)
        return "could be written"

    try:
        assert _in_child(read) == sample.state
        assert {file: file.read_bytes() for file in before} == before
    finally:
        path.parent.chmod(0o755)
