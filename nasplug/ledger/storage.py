"""Where a study is kept: in memory, or in one SQLite file that survives `kill -9` at any moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Trial
from nasplug.ledger.facts import Facts


class Storage(Protocol):
    """What the driver asks of a storage. All writes of one call are one transaction."""

    path: Path | None

    def write(self, trials: Sequence[Trial]) -> None:
        """Inserts or replaces trials."""

    def trials(self) -> list[Trial]:
        """Returns all trials, ascending by number."""

    def write_meta(self, meta: Facts) -> None:
        """Merges facts about the run."""

    def meta(self) -> Facts:
        """Returns the facts about the run."""

    def write_snapshot(self, snapshot: JsonObject) -> None:
        """Replaces the state of the driver's plugins."""

    def snapshot(self) -> JsonObject | None:
        """Returns the last snapshot."""

    def write_work(self, key: str, outcome: JsonObject) -> None:
        """Keeps the outcome of a strategy's own work."""

    def work(self) -> dict[str, JsonObject]:
        """Returns the outcomes of all work by key."""

    def take_back(self, trials: Sequence[Trial], meta: Facts, work: Sequence[str] = ()) -> None:
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

    def write_meta(self, meta: Facts) -> None:
        """Keeps nothing: nobody will read it."""

    def meta(self) -> Facts:
        """Returns nothing."""
        return {}

    def write_snapshot(self, snapshot: JsonObject) -> None:
        """Keeps nothing: nobody will resume from it."""

    def snapshot(self) -> JsonObject | None:
        """Returns None."""
        return None

    def write_work(self, key: str, outcome: JsonObject) -> None:
        """Keeps nothing: the driver remembers it."""

    def work(self) -> dict[str, JsonObject]:
        """Returns nothing."""
        return {}

    def take_back(self, trials: Sequence[Trial], meta: Facts, work: Sequence[str] = ()) -> None:
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


def dumps(value: object) -> str:
    """Returns compact JSON text, with the numbers that JSON lacks as Python writes them."""
    return json.dumps(value, separators=(",", ":"))
