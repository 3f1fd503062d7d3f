"""What lies in the folder of a study, compared with what its file says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nasplug.contract.records import Trial
from nasplug.ledger.artifacts import BASELINE_FOLDER, artifact_folder, checksum
from nasplug.ledger.comparison import read_baseline
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.ledger.work import Outcome

_IDENTIFIER = re.compile(r"[0-9a-f]{12}")
_TRIAL = re.compile(r"trial-(\d{5,})")


@dataclass
class Inventory:
    """The files of a study.

    Attributes:
        trials: Number of trials.
        checked: Number of files whose contents are as recorded.
        missing: Files that a trial or work recorded, and that are not there.
        changed: Files whose contents are not those recorded.
        unknown: Files without a recorded checksum.
        orphans: Files and folders that belong to nothing: of other studies that had this name, of trials that are not
            in the file, of work without an outcome, and what was not written to its end.
    """

    trials: int = 0
    checked: int = 0
    missing: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether everything recorded is there as it was written."""
        return not self.missing and not self.changed


def take_inventory(storage: SQLiteStorage, *, contents: bool = True) -> Inventory:
    """Compares the folder of a study with its file.

    Args:
        storage: The study; every row is read and compared with its checksums.
        contents: Whether to compare the contents of files as well.

    Raises:
        StorageError: The file is damaged.
    """
    meta, trials, work = storage.meta(), storage.trials(), storage.work()
    found = Inventory(trials=len(trials))
    storage.snapshot()
    folder = artifact_folder(storage.path, meta.get("id"))
    if folder is None or not folder.parent.is_dir():
        _add_all(found, trials, folder)
        return found
    for trial in trials:
        if trial.copied_from is None:
            for name, path in trial.artifacts.items():
                _compare(found, folder / path, trial.checksums.get(name), contents)
    baseline = read_baseline(meta)
    if baseline is not None:
        for name, path in baseline.artifacts.items():
            _compare(found, folder / path, baseline.checksums.get(name), contents)
    for key, outcome in work.items():
        for name, expected in msgspec.convert(outcome, Outcome).checksums.items():
            _compare(found, folder / "jobs" / key / name, expected, contents)
    found.orphans = sorted(_orphans(folder, {trial.number for trial in trials}, set(work), baseline))
    return found


def _add_all(found: Inventory, trials: list[Trial], folder: Path | None) -> None:
    if folder is not None:
        found.missing = [folder / path for trial in trials for path in trial.artifacts.values()]


def _compare(found: Inventory, path: Path, expected: str | None, contents: bool) -> None:
    if not path.exists():
        found.missing.append(path)
    elif expected is None:
        found.unknown.append(path)
    elif not contents or checksum(path) == expected:
        found.checked += 1
    else:
        found.changed.append(path)


def _orphans(folder: Path, numbers: set[int], work: set[str], baseline: Trial | None) -> Iterator[Path]:
    """Only what has a name of ours; anything else is somebody else's."""
    for other in folder.parent.iterdir():
        if other != folder and other.is_dir() and not other.is_symlink() and _IDENTIFIER.fullmatch(other.name):
            yield other
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        match = _TRIAL.fullmatch(path.name)
        if match and int(match[1]) not in numbers:
            yield path
        elif match and path.is_dir() and not path.is_symlink():
            yield from path.rglob("*.part")
    if baseline is None and (folder / BASELINE_FOLDER).is_dir():
        yield folder / BASELINE_FOLDER
    if (folder / "jobs").is_dir():
        yield from (path for path in (folder / "jobs").iterdir() if path.name not in work)


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def remove(path: Path) -> None:
    """Deletes a file, or a folder with everything in it; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
