"""Decoded images on disk, so that a slow source is decoded once per machine and not once per trial and worker.

An entry is a folder of plain .npy files named by a hash of everything the arrays depend on: the source's arguments and
the path, size and time of change of each file. It is written beside its final place and renamed, so a reader sees a
whole entry or none. Arrays are read memory-mapped: workers on one machine share one copy. The folder's time of change
says when an entry was last used. Entries may be deleted at any time. Nothing is ever pickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock
import numpy as np
import platformdirs

from nasplug.contract.jsondata import JsonObject, parse_json
from nasplug.data.arrays import ImageArrays
from nasplug.data.preprocessing import Preprocessing

#: Part of every key; raise it when the meaning of cached arrays changes.
FORMAT = 2


def cache_folder() -> Path:
    """Where decoded images are kept: `$NASPLUG_CACHE`, or the user's cache folder of the platform."""
    chosen = os.environ.get("NASPLUG_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("nasplug", appauthor=False))


def cached(kind: str, files: Iterable[Path], arguments: JsonObject, decode: Callable[[], ImageArrays]) -> ImageArrays:
    """Returns the decoded arrays from the cache, or decodes and keeps them.

    Two processes that want the same entry decode it once: the second waits. A cache that cannot be written (disk
    full, no permission) costs a warning and the time, never the data.

    Args:
        kind: Name of the source's class.
        files: Every file the arrays depend on.
        arguments: The source's arguments that change the result; JSON data.
        decode: Reads the arrays.
    """
    folder = cache_folder() / "images"
    entry = folder / entry_key(kind, files, arguments)
    arrays = _read(entry)
    if arrays is None:
        with only_one(folder, entry):
            arrays = _read(entry)
            if arrays is None:
                arrays = decode()
                _write(entry, arrays)
    return arrays


def entry_key(kind: str, files: Iterable[Path], arguments: JsonObject) -> str:
    """Returns the name of an entry: a hash of the files' paths, sizes and times, and of the arguments.

    Args:
        kind: Name of the source's class.
        files: Every file that the entry depends on.
        arguments: Arguments that change the entry; JSON data.
    """
    stamps = []
    for path in sorted(files):
        status = path.stat()
        stamps.append([str(path.absolute()), status.st_size, status.st_mtime_ns])
    text = json.dumps([FORMAT, kind, dict(arguments), stamps], sort_keys=True)
    return f"{kind.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def mark_used(entry: Path) -> None:
    """Notes that an entry is in use now, so that `nasplug clean --cache` spares it.

    Args:
        entry: Folder of the entry.
    """
    with contextlib.suppress(OSError):  # a cache that only others may write
        os.utime(entry)


@contextlib.contextmanager
def only_one(folder: Path, entry: Path) -> Iterator[None]:
    """Holds the entry's lock where the file system can lock; a lock ends with the process that holds it.

    Args:
        folder: Folder of the entries.
        entry: Entry that one process at a time may write.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(filelock.FileLock(folder / f"{entry.name}.lock"))
        except (OSError, NotImplementedError):
            pass  # without a lock the work may be done twice, which the atomic rename makes harmless
        yield


def _read(entry: Path) -> ImageArrays | None:
    if not entry.is_dir():
        return None
    try:
        about = parse_json((entry / "about.json").read_text(encoding="utf-8"))
        # "c" is copy-on-write: pages stay shared, and nobody can change the cache through the array.
        arrays = {
            field: np.load(
                entry / f"{field}.npy", mmap_mode="c" if field.startswith("x_") else None, allow_pickle=False
            )
            for field in about["fields"]
        }
        way = about["preprocessing"]
        mark_used(entry)
        return ImageArrays(
            **arrays,
            classes=tuple(about["classes"]),
            where=about["where"],
            preprocessing=None if way is None else Preprocessing.of(way),
            remark=about["remark"],
        )
    except Exception as error:  # a damaged file can fail in any way
        warnings.warn(f"the cached images in {entry} are damaged ({error}); decoding again", stacklevel=4)
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _write(entry: Path, arrays: ImageArrays) -> None:
    scratch: Path | None = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{entry.name}.", suffix=".part", dir=entry.parent))
        fields = dict(arrays.items())
        for field, array in fields.items():
            with (scratch / f"{field}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        way = arrays.preprocessing
        about = {
            "fields": list(fields),
            "classes": list(arrays.classes),
            "where": arrays.where,
            "preprocessing": None if way is None else way.to_plain(),
            "remark": arrays.remark,
        }
        (scratch / "about.json").write_text(json.dumps(about), encoding="utf-8")
        scratch.chmod(0o755)  # mkdtemp makes it private; a shared cache folder is for everybody it admits
        scratch.replace(entry)
    except OSError as error:
        if not entry.is_dir():  # else another process was first, with the same arrays
            warnings.warn(
                f"decoded images cannot be kept in {entry.parent} ({error}); they will be decoded again next time. "
                "Set NASPLUG_CACHE to a folder with more room",
                stacklevel=4,
            )
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
