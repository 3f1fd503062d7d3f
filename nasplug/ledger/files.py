"""The file of a study: its path, and connections to it."""

from __future__ import annotations

import gc
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nasplug.contract.errors import StorageError


def study_path(path: str | Path) -> Path:
    """Returns the absolute path of a study file with all links followed.

    Raises:
        StorageError: It cannot be the path of a file.
    """
    try:
        file = Path(path).resolve()
        mode = file.stat().st_mode if file.exists() else None
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a null byte
        raise StorageError("this cannot be a study file", where=repr(str(path)), why=str(error)) from error
    if not str(path) or (mode is not None and not stat.S_ISREG(mode)):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = "an empty path" if not str(path) else kinds.get(stat.S_IFMT(mode or 0), "a device")
        raise StorageError(
            f"this cannot be a study file: it is {kind}", where=repr(str(path)), fix="give the path of a regular file"
        )
    return file


def connected(address: str, check: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection | None:
    """Returns a connection that passes the check, or None if the file cannot be opened this way.

    Args:
        address: URI of the file.
        check: Function that raises if it is not a study.

    Raises:
        sqlite3.DatabaseError: The file is damaged.
    """
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
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commits at the end, or takes everything back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def collected_later() -> Iterator[None]:
    """Keeps the garbage collector from walking through thousands of new records, all of which stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def is_sqlite(path: Path) -> bool:
    """Whether a file starts like one of SQLite."""
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"
