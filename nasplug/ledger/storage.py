"""Where a study is kept: in memory, or in one SQLite file that survives `kill -9` at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from nasplug.contract.records import Trial


class Storage(Protocol):
    """What the driver asks of a storage. All writes of one call are one transaction."""

    path: Path | None

    def write(self, trials: Sequence[Trial]) -> None:
        """Inserts or replaces trials."""

    def trials(self) -> list[Trial]:
        """Returns all trials, ascending by number."""

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Merges facts about the run."""

    def meta(self) -> dict[str, Any]:
        """Returns the facts about the run."""

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Replaces the state of the driver's plugins."""

    def snapshot(self) -> dict[str, Any] | None:
        """Returns the last snapshot."""

    def write_work(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Keeps the outcome of a strategy's own work."""

    def work(self) -> dict[str, Any]:
        """Returns the outcomes of all work by key."""

    def take_back(self, trials: Sequence[Trial], meta: Mapping[str, Any], work: Sequence[str] = ()) -> None:
        """Replaces trials and facts, and forgets the snapshot and outcomes of work."""

    def clear(self) -> None:
        """Forgets everything."""

    def close(self) -> None:
        """Releases file and lock."""


class MemoryStorage:
    """Keeps nothing beyond the study itself."""

    path: Path | None = None

    def write(self, trials: Sequence[Trial]) -> None:
        """Keeps nothing: the study holds the trials already."""

    def trials(self) -> list[Trial]:
        """Returns nothing."""
        return []

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Keeps nothing: nobody will read it."""

    def meta(self) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def write_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """Keeps nothing: nobody will resume from it."""

    def snapshot(self) -> dict[str, Any] | None:
        """Returns None."""
        return None

    def write_work(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Keeps nothing: the driver remembers it."""

    def work(self) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def take_back(self, trials: Sequence[Trial], meta: Mapping[str, Any], work: Sequence[str] = ()) -> None:
        """Keeps nothing: there is no earlier run."""

    def clear(self) -> None:
        """Does nothing: there is nothing."""

    def close(self) -> None:
        """Does nothing."""


def open_storage(path: str | Path | None) -> Storage:
    """Returns a file for a path, memory for None.

    Raises:
        StorageError: The file cannot be used.
    """
    if path is None:
        return MemoryStorage()
    from nasplug.ledger.sqlite import SQLiteStorage

    return SQLiteStorage(path)


def dumps(value: Any) -> str:
    """Returns compact JSON text, with the numbers that JSON lacks as Python writes them."""
    return json.dumps(value, separators=(",", ":"))
