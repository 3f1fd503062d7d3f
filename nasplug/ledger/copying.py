"""Copies of studies that are complete in themselves, also of one that is being written; converts older formats."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import JsonObject, parse_json
from nasplug.contract.records import Architecture, Budget, Failure, Inherit, Measurement, Proposal, Trial
from nasplug.ledger.artifacts import artifact_folder, new_identifier
from nasplug.ledger.facts import Facts
from nasplug.ledger.files import study_path
from nasplug.ledger.sqlite import APPLICATION_ID, SQLiteStorage


def copy_study(source: str | Path, target: str | Path) -> int:
    """Copies a study file with its weights and checkpoints.

    Args:
        source: Path of a study file, of this format or an older one.
        target: Path of the copy; must not exist.

    Returns:
        The number of trials.

    Raises:
        StorageError: The source cannot be read, or the target exists.
    """
    source, target = Path(source), Path(target)
    if target.exists() or study_path(target).exists():
        raise StorageError("the file exists already", where=str(target), fix="give another path for the copy")
    if not source.is_file():
        raise StorageError(f"there is no study file {str(source)!r}", fix="check the path")
    if _format(source) == 1:
        snapshot: JsonObject | None = None
        work: Mapping[str, JsonObject] = {}
        meta, trials = _read_format_1(source)
        folder: Path | None = source.resolve().with_suffix(".files")
    else:
        storage = SQLiteStorage(source, writable=False)
        try:
            # The trials last: beside a running search they may be newer than the snapshot, never older.
            meta, snapshot, work, trials = storage.meta(), storage.snapshot(), storage.work(), storage.trials()
        finally:
            storage.close()
        folder = artifact_folder(source, meta.get("id"))
    written = SQLiteStorage(target)
    try:
        written.write_meta(meta)
        written.write(trials)
        for key, outcome in work.items():
            written.write_work(key, outcome)
        if snapshot is not None:
            written.write_snapshot(snapshot)
    finally:
        written.close()
    copied = artifact_folder(target, meta["id"])
    if folder is not None and copied is not None and folder.is_dir():
        shutil.copytree(folder, copied, ignore=shutil.ignore_patterns("*.part"))
    return len(trials)


def _format(path: Path) -> int:
    try:
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return 0
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return 0  # the storage will say what is wrong


def _read_format_1(path: Path) -> tuple[Facts, list[Trial]]:
    try:
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as connection:
            texts = connection.execute("SELECT key, value FROM meta").fetchall()
            rows = connection.execute("SELECT record FROM trials ORDER BY number").fetchall()
        meta = msgspec.convert({key: parse_json(text) for key, text in texts}, Facts)
        trials = [_trial_of_format_1(parse_json(text)) for (text,) in rows]
    except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
        raise StorageError("the study of format 1 cannot be read", where=str(path), why=repr(error)) from error
    meta.setdefault("id", new_identifier())
    return meta, trials


def _trial_of_format_1(data: Mapping[str, Any]) -> Trial:
    old = data["proposal"]
    epochs, parent, failed = old.get("epochs"), old.get("parent"), old.get("failure")
    proposal = Proposal(
        Architecture.from_json(old["architecture"]),
        old.get("hyperparameters", {}),
        None if epochs is None else Budget(epochs),
        None if parent is None else Inherit(parent),
        old.get("info", {}),
        None if failed is None else Failure(**failed),
    )
    names = ("metrics", "costs", "artifacts", "reason", "copied_from", "seconds", "seed")
    failure = data.get("failure")
    return Trial(
        data["number"],
        proposal,
        data["state"],
        measurements=tuple(Measurement(step, metrics) for step, metrics in data.get("measurements", ())),
        failure=None if failure is None else Failure(**failure),
        **{name: data[name] for name in names if name in data},
    )
