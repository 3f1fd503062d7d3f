"""Entries of the cache, and those that nobody has used for a while."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasplug.data.cache import cache_folder, only_one

#: Names that `nasplug.data.cache.entry_key` gives, with what is added while an entry is written.
_NAME = re.compile(r"[a-z0-9_]+-[0-9a-f]{32}(?P<part>\..+\.part)?")
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry of the cache.

    Attributes:
        path: Folder of its files.
        size: Size of all its files, in bytes.
        used: Time when it was last used, in seconds since 1970.
        whole: Whether it is finished; others are being written, or were when their process ended.
    """

    path: Path
    size: int
    used: float
    whole: bool


def kept() -> list[Kept]:
    """Returns all entries of the cache; other files in its folder are left out."""
    found = []
    for path in sorted(cache_folder().glob("*/*")):
        name = _NAME.fullmatch(path.name)
        if name is None or path.is_symlink() or not path.is_dir():
            continue
        try:
            size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
            found.append(Kept(path, size, path.stat().st_mtime, name["part"] is None))
        except FileNotFoundError:
            continue  # another process deletes it, or has just finished it
    return found


def unused(days: float) -> list[Kept]:
    """Returns the entries that were last used so long ago; unfinished ones only after a day at least.

    Args:
        days: Time since the last use, in days; 0 means every entry.
    """
    now = time.time()
    return [entry for entry in kept() if now - entry.used >= _DAY * (days if entry.whole else max(1.0, days))]


def delete(entries: Sequence[Kept]) -> None:
    """Deletes entries; one that a process is making at this moment is waited for.

    Args:
        entries: Entries to delete.
    """
    for entry in entries:
        with only_one(entry.path.parent, entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)
        entry.path.with_name(f"{entry.path.name}.lock").unlink(missing_ok=True)
