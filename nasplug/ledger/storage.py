"""Where a study is kept: in memory, or in one SQLite file that survives `kill -9` at any moment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from nasplug.contract.errors import StorageError
from nasplug.contract.records import Trial

FORMAT = 1
#: Marks the file for `file(1)` and for us: "nasp" in ASCII.
APPLICATION_ID = 0x6E617370


class Storage(Protocol):
    """What the driver asks of a storage. All writes of one call are one transaction."""

    path: Path | None

    def write(self, trials: Sequence[Trial]) -> None:
        """Inserts or replaces trials."""

    def trials(self) -> list[Trial]:
        """All trials, ascending by number."""

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Merges facts about the run."""

    def meta(self) -> dict[str, Any]:
        """The facts about the run."""

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Replaces the state of the driver's plugins."""

    def snapshot(self) -> dict[str, Any] | None:
        """The last snapshot."""

    def close(self) -> None:
        """Releases file and lock."""


class MemoryStorage:
    """Keeps nothing beyond the study itself."""

    path: Path | None = None

    def write(self, trials: Sequence[Trial]) -> None:
        """The study holds the trials already."""

    def trials(self) -> list[Trial]:
        """Nothing is ever found here."""
        return []

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Nobody will read it."""

    def meta(self) -> dict[str, Any]:
        """Always empty."""
        return {}

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Nobody will resume from it."""

    def snapshot(self) -> dict[str, Any] | None:
        """Always None."""
        return None

    def close(self) -> None:
        """Nothing to release."""


class SQLiteStorage:
    """One SQLite file in write-ahead mode; every call is one transaction.

    `synchronous = NORMAL` loses at most the last transactions on a power cut and never corrupts the file; a killed
    process loses nothing that was committed.

    Args:
        path: The file; made with its parents when `writable`.
        writable: False opens an existing file for reading, beside a running search.

    Raises:
        StorageError: The file is missing, locked by another run, damaged, or something else.
    """

    def __init__(self, path: str | Path, *, writable: bool = True) -> None:
        self.path: Path | None = Path(path)
        self._file = Path(path).resolve()  # one lock for a file, whatever links lead to it
        self._lock: FileLock | None = None
        if not writable and not self._file.is_file():
            raise StorageError(f"there is no study file {str(path)!r}", fix="check the path, or start a run first")
        if self._file.is_file() and self._file.stat().st_size and not _is_sqlite(self._file):
            raise self._damaged("it does not start like an SQLite file")
        with self._guard("open"):
            if writable:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FileLock(str(self._file) + ".lock", timeout=0)
                self._lock.acquire()
            target = self._file.as_uri() + ("" if writable else "?mode=ro")
            self._connection = sqlite3.connect(target, uri=True, isolation_level=None)
            try:
                self._prepare(writable)
            except BaseException:
                self.close()
                raise

    def _prepare(self, writable: bool) -> None:
        run = self._connection.execute
        tables = {row[0] for row in run("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            if not writable:
                raise self._damaged("it is empty")
            run("PRAGMA journal_mode = WAL")
            with self._transaction():
                run(f"PRAGMA application_id = {APPLICATION_ID}")
                run(f"PRAGMA user_version = {FORMAT}")
                run("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
                run("CREATE TABLE trials (number INTEGER PRIMARY KEY, state TEXT NOT NULL, record TEXT NOT NULL)")
                run("CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 0), state TEXT NOT NULL)")
        elif run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise self._damaged("it is an SQLite file of another program")
        elif run("PRAGMA user_version").fetchone()[0] != FORMAT:
            raise StorageError(
                f"study format {run('PRAGMA user_version').fetchone()[0]}, this nasplug reads {FORMAT}",
                where=str(self._file),
                fix="open it with the version of nasplug that wrote it",
            )
        problem = run("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self._damaged(problem)
        run("PRAGMA synchronous = NORMAL")

    def write(self, trials: Sequence[Trial]) -> None:
        """Inserts or replaces trials in one transaction."""
        rows = [(trial.number, trial.state, _dumps(trial.to_json())) for trial in trials]
        with self._guard("write to"), self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO trials VALUES (?, ?, ?)", rows)

    def trials(self) -> list[Trial]:
        """All trials, ascending by number."""
        with self._guard("read"):
            rows = self._connection.execute("SELECT record FROM trials ORDER BY number").fetchall()
        try:
            return [Trial.from_json(json.loads(record)) for (record,) in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(f"a trial cannot be read: {error!r}") from error

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Merges facts about the run."""
        rows = [(key, _dumps(value)) for key, value in meta.items()]
        with self._guard("write to"), self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def meta(self) -> dict[str, Any]:
        """The facts about the run."""
        with self._guard("read"):
            rows = self._connection.execute("SELECT key, value FROM meta").fetchall()
        return {key: json.loads(value) for key, value in rows}

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Replaces the state of the driver's plugins."""
        with self._guard("write to"), self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO snapshot VALUES (0, ?)", (_dumps(snapshot),))

    def snapshot(self) -> dict[str, Any] | None:
        """The last snapshot, or None."""
        with self._guard("read"):
            row = self._connection.execute("SELECT state FROM snapshot").fetchone()
        return None if row is None else json.loads(row[0])

    def close(self) -> None:
        """Closes the file and releases the lock."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _guard(self, verb: str) -> Iterator[None]:
        """Turns what sqlite3, the lock and the file system raise into one readable error."""
        try:
            yield
        except Timeout as error:
            raise StorageError(
                "another run is writing this study",
                where=str(self._file),
                fix="wait for it or stop it; reading with `nasplug trials` works meanwhile",
            ) from error
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise StorageError(
                    f"cannot {verb} the study file",
                    where=str(self._file),
                    why=f"{text}; all earlier trials are safe in the file",
                    fix="free some space and run the same command again: it resumes",
                ) from error
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in text:
                raise StorageError(f"cannot {verb} the study file", where=str(self._file), why=text) from error
            raise self._damaged(text) from error
        except OSError as error:
            raise StorageError(f"cannot {verb} the study file", where=str(self._file), why=str(error)) from error

    def _damaged(self, why: str) -> StorageError:
        return StorageError(
            "this is no nasplug study, or it is damaged",
            where=str(self._file),
            why=why,
            fix="nothing was changed; restore the file from a copy, or give another path to start anew",
        )


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def open_storage(path: str | Path | None) -> Storage:
    """A file for a path, memory for None."""
    return MemoryStorage() if path is None else SQLiteStorage(path)
