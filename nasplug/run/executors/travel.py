"""Which files travel where driver and workers share no folder: what a job reads goes out, what it wrote comes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.ledger.artifacts import folder_of

if TYPE_CHECKING:
    from nasplug.contract.store import Store
    from nasplug.run.jobs import Job

#: Folder with the files of a strategy's work, which any later trial may read.
WORK = "jobs"


def read_by(job: Job) -> list[str]:
    """Returns the folders whose files a job may read: its own, its parent's, and those of finished work."""
    own = [] if job.trial is None else [folder_of(job.trial)]
    parent = [] if job.parent is None else [folder_of(job.parent)]
    return [*own, *parent, WORK]


class Outbound:
    """The driver's side.

    Args:
        store: Store between the machines.
        folder: Folder of artifacts of the driver.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._there: set[str] | None = None

    def offer(self, job: Job) -> None:
        """Puts into the store what a job may read and the store does not have, as after a change of stores."""
        if self._store.shared:
            return
        if self._there is None:
            self._there = set(self._store.names(""))
        for below in read_by(job):
            missing = [name for name in _files(self._folder, below) if name not in self._there]
            self._store.put(self._folder, missing)
            self._there.update(missing)

    def collect(self, names: list[str]) -> None:
        """Fetches files that a job wrote."""
        if not self._store.shared:
            self._store.get(self._folder, names)
            if self._there is not None:
                self._there.update(names)


class Inbound:
    """A worker's side.

    Args:
        store: Store between the machines.
        folder: Folder of artifacts on this machine, for this worker alone.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._before: Mapping[str, tuple[int, int]] = {}

    def bring(self, job: Job) -> None:
        """Fetches what the job may read and this machine does not have."""
        if self._store.shared:
            return
        for below in read_by(job):
            names = [name for name in self._store.names(below) if not (self._folder / name).exists()]
            self._store.get(self._folder, names)
        self._before = _stamps(self._folder)

    def deliver(self) -> list[str]:
        """Puts what the job wrote into the store, and returns the names."""
        if self._store.shared:
            return []
        names = [name for name, stamp in _stamps(self._folder).items() if self._before.get(name) != stamp]
        self._store.put(self._folder, names)
        return names


def _files(root: Path, below: str) -> list[str]:
    folder = root / below
    return sorted(path.relative_to(root).as_posix() for path in folder.rglob("*") if path.is_file())


def _stamps(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for name in _files(root, ""):
        stat = (root / name).stat()
        found[name] = (stat.st_size, stat.st_mtime_ns)
    return found
