from __future__ import annotations

import pytest

from nasplug.contract.errors import StorageError
from nasplug.files import complete_file


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "it.txt"
    with complete_file(path, "it") as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def refused(path, error, **more):
    with complete_file(path, "it", **more) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_earlier_file(tmp_path, error):
    path = tmp_path / "it.txt"
    path.write_text("earlier")
    with pytest.raises(error):
        refused(path, error)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_system_refuses_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write it(.|\n)*give another path"):
        refused(tmp_path / "file" / "it.txt", KeyError)
    with pytest.raises(StorageError, match=r"No space left(.|\n)*throw something away"):
        refused(tmp_path / "it.txt", OSError(28, "No space left on device"), fix="throw something away")
    assert not (tmp_path / "it.txt").exists()
