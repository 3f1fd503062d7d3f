"""A study in one SQLite file in write-ahead mode; every call is one transaction, rows and tables have checksums."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any, TypeAlias, cast

from filelock import FileLock, Timeout

from nasplug.contract.errors import PluginError, StorageError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Trial
from nasplug.ledger.facts import Facts
from nasplug.ledger.files import collected_later, connected, is_sqlite, study_path, transaction
from nasplug.ledger.seal import Key, Seal, row_checksum, row_checksums, seal_row
from nasplug.ledger.storage import dumps

#: A row as SQLite hands it over, whose types its table decides.
Row: TypeAlias = tuple[Any, ...]

FORMAT = 2
#: Marks the file for `file(1)` and for us: "nasp" in ASCII.
APPLICATION_ID = 0x6E617370

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE trials"
    " (number INTEGER PRIMARY KEY, state TEXT NOT NULL, record TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 0), state TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE work (key TEXT PRIMARY KEY, outcome TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE seal"
    " (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, digest INTEGER NOT NULL, checksum INTEGER NOT NULL)",
)
#: One trial with its seal as one statement, a transaction of its own: nearly all that a search writes. View and trigger
#: belong to the connection; the file does not have them.
_ONE_TRIAL = (
    "CREATE TEMP VIEW trial_and_seal AS SELECT number, state, record, trials.checksum AS checksum, rows, digest,"
    " seal.checksum AS seal_checksum FROM main.trials, main.seal",
    "CREATE TEMP TRIGGER write_trial INSTEAD OF INSERT ON trial_and_seal BEGIN"
    " INSERT OR REPLACE INTO trials VALUES (new.number, new.state, new.record, new.checksum);"
    " UPDATE seal SET rows = new.rows, digest = new.digest, checksum = new.seal_checksum WHERE name = 'trials'; END",
)


def _texts(values: Mapping[str, Json] | list[Json]) -> bool:
    return all(isinstance(item, str) for item in (values.values() if isinstance(values, dict) else values))


#: What a fact of a study is, if it is there: its type, and what must hold of it.
_FACTS: dict[str, tuple[type, Callable[[Any], bool]]] = {
    "id": (str, lambda value: re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) is not None),
    "spec": (dict, lambda value: all(isinstance(value.get(key, {}), dict) for key in ("run", "budget"))),
    "objects": (list, _texts),
    "objectives": (dict, lambda value: set(value.values()) <= {"max", "min"} if _texts(value) else False),
    "constraints": (list, _texts),
    "created": (str, bool),
    "runs": (list, lambda value: all(isinstance(item, dict) for item in value)),
    "baseline": (dict, lambda value: isinstance(value.get("trial"), dict)),
    "revised": (int, lambda value: value >= 0),
}
#: Columns of every table that has a seal; the first one is the key.
_COLUMNS = {
    "meta": ("key", "value"),
    "trials": ("number", "state", "record"),
    "snapshot": ("id", "state"),
    "work": ("key", "outcome"),
}


class SQLiteStorage:
    """One SQLite file in write-ahead mode; every call is one transaction.

    `synchronous = NORMAL` loses at most the last transactions on a power cut and never corrupts the file; a killed
    process loses nothing that was committed. Before the first write everything is read and compared with its checksums.

    Args:
        path: Path of the file; made with its parents when `writable`.
        writable: False opens an existing file for reading, beside a running search.

    Raises:
        StorageError: The file is missing, locked by another run, damaged, of another format, or something else.
    """

    def __init__(self, path: str | Path, *, writable: bool = True) -> None:
        self.path: Path | None = Path(path)
        self._file = study_path(path)  # one lock for a file, whatever links lead to it
        self._lock: FileLock | None = None
        self._seals: dict[str, Seal] = {}
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        if not writable and not self._file.is_file():
            raise StorageError(f"there is no study file {str(path)!r}", fix="check the path, or start a run first")
        exists = self._file.is_file() and self._file.stat().st_size > 0
        if exists and not is_sqlite(self._file):
            raise self._damaged("it does not start like an SQLite file")
        beside = [ending for ending in ("-wal", ".files") if Path(f"{self._file}{ending}").exists()]
        if not exists and self._file.is_file() and (beside or not writable):
            raise self._damaged("it is empty" + (f", and {self._file.name}{beside[0]} is not" if beside else ""))
        if writable and exists and self._file.stat().st_nlink > 1:
            raise StorageError(
                "the study file has several names",
                where=str(self._file),
                why="it is a hard link: under another name another run could write to the same file unseen, and a copy "
                "made of links would change with it",
                fix=f"make it a file of its own: `nasplug copy {self._file.name} NEW`",
            )
        with self._guard("open"):
            if writable:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                lock = Path(f"{self._file}.lock")
                lock.open("a").close()  # where no file can be made, the lock would only say that it was not to be had
                self._lock = FileLock(str(lock), timeout=0)
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
            reader = self._reader(address)
            if not writable:
                return reader
            try:
                for table in _COLUMNS:
                    self._read(table, reader)
            finally:
                reader.close()
        else:
            self._create()
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _ONE_TRIAL:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Makes an empty study beside the path and moves it there: a run killed meanwhile leaves nothing behind."""
        new = self._file.with_name(f"{self._file.name}.new")
        for ending in ("", "-wal", "-shm"):
            Path(f"{new}{ending}").unlink(missing_ok=True)
        with closing(sqlite3.connect(new.as_uri(), uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            with transaction(connection):
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                for statement in _TABLES:
                    connection.execute(statement)
                seals = [seal_row(name, 0, 0) for name in _COLUMNS]
                connection.executemany("INSERT INTO seal VALUES (?, ?, ?, ?)", seals)
        new.replace(self._file)

    def _reader(self, address: str) -> sqlite3.Connection:
        """A connection for reading that passes the check, also on a full disk and in a folder that is read only."""
        reader = connected(address + "?mode=ro", self._check)
        if reader is not None:
            return reader
        # No room for the index of the log, or no right to write it.
        log = self._file.with_name(f"{self._file.name}-wal")
        if not log.is_file() or not log.stat().st_size:
            reader = connected(address + "?mode=ro&immutable=1", self._check)
            assert reader is not None
            return reader
        self._elsewhere = tempfile.TemporaryDirectory(prefix="nasplug-read-")
        copy = Path(self._elsewhere.name) / self._file.name
        try:
            shutil.copyfile(self._file, copy)
            shutil.copyfile(log, f"{copy}-wal")
        except OSError as error:
            raise StorageError(
                "cannot read the study file",
                where=str(self._file),
                why=f"its last trials are in {log.name!r}, which SQLite reads only where it can write, and a copy in "
                f"the temporary folder failed: {error}",
                fix="free some space, or set TMPDIR to a folder that can be written",
            ) from error
        reader = connected(copy.as_uri(), self._check)
        assert reader is not None
        return reader

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
        """Inserts or replaces trials in one transaction.

        Raises:
            PluginError: A trial holds values that would not come back.
        """
        if len(trials) == 1 and "trials" in self._seals:
            self._write_one(_trial_row(trials[0]))
        else:
            self._change({"trials": [_trial_row(trial) for trial in trials]})

    def _write_one(self, row: Row) -> None:
        seal, checksum = self._seals["trials"], row_checksum(*row)
        change = {row[0]: checksum}
        count, digest = seal.changed(change)
        values = (*row, checksum, *seal_row("trials", count, digest)[1:])
        try:
            self._connection.execute("INSERT INTO trial_and_seal VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            with self._guard("write to"):
                raise
        seal.apply(change)

    def trials(self) -> list[Trial]:
        """Returns all trials, ascending by number."""
        with collected_later():
            rows = self._rows("trials")
            for position, row in enumerate(rows):
                if row[0] != position:
                    raise self._damaged(f"trial {position} is missing")
            try:
                trials = Trial.decode_all([record for _, _, record, _ in rows])
            except (ValueError, RecursionError) as error:
                raise self._damaged(_unreadable(rows) or str(error)) from error
        for trial, (number, state, _, _) in zip(trials, rows, strict=True):
            if trial.state != state or trial.number != number:
                raise self._damaged(f"the record of trial {number} is that of trial {trial.number}, {trial.state}")
            if trial.artifacts:
                self._check_artifacts(trial)
        return trials

    def _check_artifacts(self, trial: Trial) -> None:
        for name in trial.artifacts.values():
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
                raise self._damaged(f"the artifact {name!r} of trial {trial.number} is outside the folder of the study")

    def take_back(self, trials: Sequence[Trial], meta: Facts, work: Sequence[str] = ()) -> None:
        """Replaces trials and facts, and forgets the snapshot and outcomes of work, in one transaction.

        Args:
            trials: Trials as they are from now on.
            meta: Facts to merge.
            work: Keys of the outcomes to forget.
        """
        self._change(
            {"trials": [_trial_row(trial) for trial in trials], "meta": _meta_rows(meta)},
            {"snapshot": [0], "work": list(work)},
        )

    def clear(self) -> None:
        """Forgets everything, in one transaction: the study becomes an empty one."""
        self._change({}, {table: [row[0] for row in self._rows(table)] for table in _COLUMNS})

    # -- facts, state, work --------------------------------------------------------------------------------------

    def write_meta(self, meta: Facts) -> None:
        """Merges facts about the run."""
        self._change({"meta": _meta_rows(meta)})

    def meta(self) -> Facts:
        """Returns the facts about the run."""
        meta = self._mapping("meta")
        for name, (kind, check) in _FACTS.items():
            value = meta.get(name)
            if value is not None and not (isinstance(value, kind) and check(value)):
                raise self._damaged(f"the fact {name!r} is {value!r:.100}")
        return cast("Facts", meta)

    def write_snapshot(self, snapshot: JsonObject) -> None:
        """Replaces the state of the driver's plugins, and moves the log into the file, so that a copy is recent."""
        self._change({"snapshot": [(0, dumps(snapshot))]})
        with self._guard("write to"):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def snapshot(self) -> JsonObject | None:
        """Returns the last snapshot, or None."""
        return self._mapping("snapshot").get(0)

    def write_work(self, key: str, outcome: JsonObject) -> None:
        """Keeps the outcome of a strategy's own work."""
        self._change({"work": [(key, dumps(outcome))]})

    def work(self) -> dict[str, JsonObject]:
        """Returns the outcomes of all work by key."""
        return self._mapping("work")

    def close(self) -> None:
        """Closes the file and releases the lock."""
        self._connection.close()
        if self._elsewhere is not None:
            self._elsewhere.cleanup()
        if self._lock is not None:
            self._lock.release()

    # -- rows ----------------------------------------------------------------------------------------------------

    def _change(self, written: Mapping[str, Sequence[Row]], deleted: Mapping[str, Sequence[Key]] | None = None) -> None:
        """Writes and deletes rows of some tables, with their seals, in one transaction."""
        changes: dict[str, dict[Key, int | None]] = {}
        run = self._connection
        with self._guard("write to"), transaction(run):
            for table in {*written, *(deleted or {})} - set(self._seals):
                self._seals[table] = self._seal(table)
            for table, keys in (deleted or {}).items():
                run.executemany(f"DELETE FROM {table} WHERE {_COLUMNS[table][0]} = ?", [(key,) for key in keys])
                changes.setdefault(table, {}).update(dict.fromkeys(keys))
            for table, rows in written.items():
                sealed = [(*row, row_checksum(*row)) for row in rows]
                marks = ", ".join("?" * (len(_COLUMNS[table]) + 1))
                run.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", sealed)
                changes.setdefault(table, {}).update({row[0]: row[-1] for row in sealed})
            for table, change in changes.items():
                count, digest = self._seals[table].changed(change)
                seal = seal_row(table, count, digest)
                run.execute("UPDATE seal SET rows = ?, digest = ?, checksum = ? WHERE name = ?", (*seal[1:], table))
        for table, change in changes.items():
            self._seals[table].apply(change)

    def _seal(self, table: str) -> Seal:
        """The seal of a table before the first change."""
        key = _COLUMNS[table][0]
        return Seal.of(self._connection.execute(f"SELECT {key}, checksum FROM {table}").fetchall())

    def _rows(self, table: str) -> list[Row]:
        with self._guard("read"):
            return self._read(table, self._connection)

    def _read(self, table: str, connection: sqlite3.Connection) -> list[Row]:
        """All rows of a table with their checksums at the end, as one transaction left them."""
        columns = ", ".join(_COLUMNS[table])
        connection.execute("BEGIN")
        try:
            seal = connection.execute("SELECT * FROM seal WHERE name = ?", (table,)).fetchone()
            rows = connection.execute(f"SELECT {columns}, checksum FROM {table} ORDER BY 1").fetchall()
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")
        checksums, expected = [row[-1] for row in rows], row_checksums(rows)
        if checksums != expected:
            key = next(row[0] for row, checksum in zip(rows, expected, strict=True) if row[-1] != checksum)
            what = f"the record of trial {key}" if table == "trials" else f"the entry {key!r}"
            raise self._damaged(f"{what} does not match its checksum")
        digest = reduce(xor, checksums, 0)
        if seal != seal_row(table, len(rows), digest):
            raise self._damaged(f"the table {table!r} does not match its seal: rows are missing, added or older")
        return rows

    def _mapping(self, table: str) -> dict[Any, Any]:
        rows = self._rows(table)
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
        except (UnicodeDecodeError, OverflowError) as error:  # sqlite3 raises these for bytes that are not text
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise StorageError(
                f"cannot {verb} the study file",
                where=where,
                why=": ".join(filter(None, (_obstacle(self._file), error.strerror or str(error)))),
                fix="give another path, or make room for this one",
            ) from error

    def _damaged(self, why: str) -> StorageError:
        return StorageError(
            "not a nasplug study file, or it is damaged",
            where=str(self._file),
            why=why,
            fix="nothing was changed; restore the file from a copy, or give another path to start anew",
        )


def _obstacle(file: Path) -> str | None:
    """What keeps a file from being written, if its path says so."""
    there = next(parent for parent in file.parents if parent.exists())
    if not there.is_dir():
        return f"{str(there)!r} is a file, not a folder"
    if not os.access(there, os.W_OK) or str(there) in ("/proc", "/sys"):
        return f"no file can be made in {str(there)!r}"
    return None


def _unreadable(rows: Sequence[Row]) -> str:
    """Which record it is that cannot be read."""
    for number, _, record, _ in rows:
        try:
            Trial.decode(record)
        except (ValueError, RecursionError) as error:
            return f"trial {number} cannot be read: {error}"
    return ""


def _meta_rows(meta: Facts) -> list[Row]:
    return [(key, dumps(value)) for key, value in meta.items()]


def _trial_row(trial: Trial) -> Row:
    try:
        record = trial.encode()
        Trial.decode(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(
            "the result holds values that cannot be kept",
            where=f"trial {trial.number}",
            why=str(error),
            fix="a plugin answered them; use numbers, texts, and lists and dictionaries of them",
        ) from error
    return trial.number, trial.state, record.decode()
