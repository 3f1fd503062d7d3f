"""Paths of study files, and connections to them."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing

import pytest

from nasplug.contract.errors import StorageError
from nasplug.ledger.files import collected_later, connected, is_sqlite, study_path, transaction


def test_links_lead_to_one_file(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert study_path(tmp_path / "link" / "s.sqlite") == study_path(str(tmp_path / "real" / "s.sqlite"))


@pytest.mark.parametrize(
    ("path", "message"), [("", "an empty path"), (".", "a folder"), ("a\0b", "null"), ("x" * 5000, "too long")]
)
def test_what_cannot_be_a_file_is_said(path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=message):
        study_path(path)


def test_a_transaction_is_whole_or_nothing():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")

        def half():
            with transaction(connection):
                connection.execute("INSERT INTO t VALUES (2)")
                raise KeyError

        with pytest.raises(KeyError):
            half()
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_a_connection_that_fails_its_check_is_closed(tmp_path):
    seen = []

    def check(connection):
        seen.append(connection)
        connection.execute("SELECT * FROM nowhere")

    assert connected((tmp_path / "s.sqlite").as_uri(), check) is None
    with pytest.raises(sqlite3.ProgrammingError):
        seen[0].execute("SELECT 1")


def test_the_collector_waits_and_is_back_afterwards():
    with collected_later():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with collected_later():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_other_files_do_not_start_like_sqlite(tmp_path):
    (tmp_path / "a").write_bytes(b"SQLite format 3\x00...")
    (tmp_path / "b").write_bytes(b"SQLite")
    assert is_sqlite(tmp_path / "a")
    assert not is_sqlite(tmp_path / "b")
