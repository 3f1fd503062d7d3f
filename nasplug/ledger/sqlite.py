"""A study in one SQLite file in write-ahead mode; every call is one transaction, every row has a checksum."""

from __future__ import annotations

import gc
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nasplug.contract.errors import StorageError
from nasplug.contract.records import Trial
from nasplug.ledger.storage import dumps

FORMAT = 2
#: Marks the file for `file(1)` and for us: "nasp" in ASCII.
APPLICATION_ID = 0x6E617370

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE trials"
    " (number INTEGER PRIMARY KEY, state TEXT NOT NULL, record TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 0), state TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE work (key TEXT PRIMARY KEY, outcome TEXT NOT NULL, checksum INTEGER NOT NULL)",
)


class SQLiteStorage:
    """One SQLite file in write-ahead mode; every call is one transaction.

    `synchronous = NORMAL` loses at most the last transactions on a power cut and never corrupts the file; a killed
    process loses nothing that was committed. Everything is read and compared with its checksum before the first write.

    Args:
        path: Path of the file; made with its parents when `writable`.
        writable: False opens an existing file for reading, beside a running search.

    Raises:
        StorageError: The file is missing, locked by another run, damaged, of another format, or something else.
    """

    def __init__(self, path: str | Path, *, writable: bool = True) -> None:
        self.path: Path | None = Path(path)
        self._file = Path(path).resolve()  # one lock for a file, whatever links lead to it
        self._lock: FileLock | None = None
        if not writable and not self._file.is_file():
            raise StorageError(f"there is no study file {str(path)!r}", fix="check the path, or start a run first")
        exists = self._file.is_file() and self._file.stat().st_size > 0
        if exists and not _is_sqlite(self._file):
            raise self._damaged("it does not start like an SQLite file")
        if not exists and not writable:  # a run that has just made the file will fill it; whoever reads must not
            raise self._damaged("it is empty")
        with self._guard("open"):
            if writable:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._lock = FileLock(str(self._file) + ".lock", timeout=0)
                self._lock.acquire()
            try:
                self._connection = self._open(exists, writable)
            except BaseException:
                if self._lock is not None:
                    self._lock.release()
                raise

    def _open(self, exists: bool, writable: bool) -> sqlite3.Connection:
        address = self._file.as_uri()
        if exists:  # looked at before anything could change it
            reader = _connected(address + "?mode=ro", self._check)
            if reader is None:  # no room for the index of the log, or no right to write it
                reader = _connected(address + "?mode=ro&immutable=1", self._check)
            assert reader is not None
            if not writable:
                return reader
            reader.close()
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            if not exists:
                self._create(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        with _transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            for statement in _TABLES:
                connection.execute(statement)

    def _check(self, connection: sqlite3.Connection) -> None:
        run = connection.execute
        if not run("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]:
            raise self._damaged("it is empty")
        if run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise self._damaged("it is an SQLite file of another program")
        version = run("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            older = version < FORMAT
            raise StorageError(
                f"the study has format {version}, this nasplug reads format {FORMAT}",
                where=str(self._file),
                fix=f"`nasplug copy {self._file.name} NEW.sqlite` converts it"
                if older
                else "open it with the version of nasplug that wrote it",
            )
        problem = run("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self._damaged(problem)

    # -- trials --------------------------------------------------------------------------------------------------

    def write(self, trials: Sequence[Trial]) -> None:
        """Inserts or replaces trials in one transaction."""
        rows = []
        for trial in trials:
            record = trial.encode().decode()
            rows.append((trial.number, trial.state, record, _checksum(trial.number, trial.state, record)))
        self._insert("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?)", rows)

    def trials(self) -> list[Trial]:
        """Returns all trials, ascending by number."""
        with self._guard("read"):
            rows = self._connection.execute(
                "SELECT number, state, record, checksum FROM trials ORDER BY number"
            ).fetchall()
        with _collected_later():
            return [self._trial(position, row) for position, row in enumerate(rows)]

    def _trial(self, position: int, row: tuple[int, str, str, int]) -> Trial:
        number, state, record, checksum = row
        if _checksum(number, state, record) != checksum:
            raise self._damaged(f"the record of trial {number} does not match its checksum")
        if number != position:
            raise self._damaged(f"trial {position} is missing")
        try:
            return Trial.decode(record)
        except ValueError as error:
            raise self._damaged(f"trial {number} cannot be read: {error}") from error

    # -- facts, state, work --------------------------------------------------------------------------------------

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Merges facts about the run."""
        pairs = [(key, dumps(value)) for key, value in meta.items()]
        rows = [(key, text, _checksum(key, text)) for key, text in pairs]
        self._insert("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows)

    def meta(self) -> dict[str, Any]:
        """Returns the facts about the run."""
        return self._mapping("SELECT key, value, checksum FROM meta")

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Replaces the state of the driver's plugins, and moves the log into the file, so that a copy is recent."""
        text = dumps(snapshot)
        self._insert("INSERT OR REPLACE INTO snapshot VALUES (0, ?, ?)", [(text, _checksum(0, text))])
        with self._guard("write to"):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def snapshot(self) -> dict[str, Any] | None:
        """Returns the last snapshot, or None."""
        return self._mapping("SELECT id, state, checksum FROM snapshot").get(0)

    def write_work(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Keeps the outcome of a strategy's own work."""
        text = dumps(outcome)
        self._insert("INSERT OR REPLACE INTO work VALUES (?, ?, ?)", [(key, text, _checksum(key, text))])

    def work(self) -> dict[str, Any]:
        """Returns the outcomes of all work by key."""
        return self._mapping("SELECT key, outcome, checksum FROM work")

    def close(self) -> None:
        """Closes the file and releases the lock."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    # -- rows ----------------------------------------------------------------------------------------------------

    def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._guard("write to"), _transaction(self._connection):
            self._connection.executemany(statement, rows)

    def _mapping(self, query: str) -> dict[Any, Any]:
        with self._guard("read"):
            rows = self._connection.execute(query).fetchall()
        for key, text, checksum in rows:
            if _checksum(key, text) != checksum:
                raise self._damaged(f"the entry {key!r} does not match its checksum")
        try:
            return {key: json.loads(text) for key, text, _ in rows}
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"an entry cannot be read: {error}") from error

    @contextmanager
    def _guard(self, verb: str) -> Iterator[None]:
        """Turns what sqlite3, the lock and the file system raise into one readable error."""
        where = str(self._file)
        try:
            yield
        except Timeout as error:
            raise StorageError(
                "another run is writing this study",
                where=where,
                fix="wait for it or stop it; reading with `nasplug trials` works meanwhile",
            ) from error
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise StorageError(
                    f"cannot {verb} the study file",
                    where=where,
                    why=f"{text}; all earlier trials are safe in the file",
                    fix="free some space and run the same command again: it resumes",
                ) from error
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in text:
                raise StorageError(f"cannot {verb} the study file", where=where, why=text) from error
            raise self._damaged(text) from error
        except (UnicodeDecodeError, OverflowError) as error:  # sqlite3 raises these for bytes that are no text
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise StorageError(f"cannot {verb} the study file", where=where, why=str(error)) from error

    def _damaged(self, why: str) -> StorageError:
        return StorageError(
            "not a nasplug study file, or it is damaged",
            where=str(self._file),
            why=why,
            fix="nothing was changed; restore the file from a copy, or give another path to start anew",
        )


def _connected(address: str, check: Any) -> sqlite3.Connection | None:
    """A connection that passes the check; None if the file cannot be opened this way."""
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        check(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if "immutable" in address or "malformed" in str(error):
            raise
        return None
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _collected_later() -> Iterator[None]:
    """Keeps the garbage collector from walking through thousands of new records, all of which stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _checksum(*fields: Any) -> int:
    return zlib.crc32("\x1f".join(map(str, fields)).encode("utf-8", "surrogatepass"))


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"
