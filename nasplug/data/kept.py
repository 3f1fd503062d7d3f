"""Folders of derived files that are made once per machine and shared by every process of it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from nasplug.contract.jsondata import JsonObject
from nasplug.data.cache import cache_folder, entry_key, mark_used, only_one

#: Name of the file that is written last: a folder with it is whole.
DONE = "done"

_scratch: dict[str, Path] = {}


def kept_folder(kind: str, files: Iterable[Path], arguments: JsonObject, make: Callable[[Path], None]) -> Path:
    """Returns a folder of the cache, made now if it is not there.

    Two processes that want the same folder make it once: the second waits. Where the cache cannot be written, the
    folder is a temporary one of this process.

    Args:
        kind: Name of what it holds, and of the folder above it.
        files: Every file that the content depends on.
        arguments: Arguments that change the content; JSON data.
        make: Writes the content into an empty folder.
    """
    above = cache_folder() / kind
    name = entry_key(kind, files, arguments)
    entry = above / name
    if (entry / DONE).is_file():
        mark_used(entry)
        return entry
    if name in _scratch:
        return _scratch[name]
    try:
        above.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".part", dir=above))
    except OSError as error:
        part = Path(tempfile.mkdtemp(prefix="nasplug-"))
        atexit.register(shutil.rmtree, part, ignore_errors=True)
        warnings.warn(
            f"{kind} cannot be kept in {above} ({error}); every process makes them anew. "
            "Set NASPLUG_CACHE to a folder that can be written",
            stacklevel=3,
        )
        make(part)
        _scratch[name] = part
        return part
    try:
        with only_one(above, entry):
            if not (entry / DONE).is_file():
                shutil.rmtree(entry, ignore_errors=True)
                make(part)
                (part / DONE).touch()
                part.chmod(0o755)  # mkdtemp makes it private
                part.replace(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return entry
