"""Files between the driver and workers elsewhere: a folder that all of them reach, or any place that fsspec knows."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import MissingExtraError, SpecError, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from nasplug.contract.store import Store


class SharedFolder:
    """The study's own folder, under the same path on every machine."""

    shared = True

    def names(self, below: str) -> list[str]:
        """Nothing needs to travel."""
        return []

    def put(self, root: Path, names: Sequence[str]) -> None:
        """Does nothing: the files are where they belong."""

    def get(self, root: Path, names: Sequence[str]) -> None:
        """Does nothing: the files are where they belong."""


class UrlStore:
    """A folder of a file system that fsspec knows: `file:///mnt/share/nas`, `s3://bucket/nas`, `gs://...`.

    Args:
        url: URL of the folder. Each study has one of its own below it.
        study: Name of the study's folder.
    """

    shared = False

    def __init__(self, url: str, study: str) -> None:
        self.url, self.study = url, study
        self._opened: tuple[AbstractFileSystem, str] | None = None

    def names(self, below: str) -> list[str]:
        """Names of the files below a folder of the store."""
        files, root = self._open()
        with self._reached("list"):
            folder = posixpath.join(root, below) if below else root
            found = files.find(folder) if files.exists(folder) else []
            return sorted(posixpath.relpath(name, root) for name in found)

    def put(self, root: Path, names: Sequence[str]) -> None:
        """Copies files below `root` into the store; each appears under its name when it is complete."""
        files, there = self._open()
        for name in names:
            with self._reached("write"):
                target = posixpath.join(there, name)
                files.makedirs(posixpath.dirname(target), exist_ok=True)
                files.put_file(str(root / name), f"{target}.part")
                files.mv(f"{target}.part", target)

    def get(self, root: Path, names: Sequence[str]) -> None:
        """Copies files of the store to where they belong below `root`."""
        files, there = self._open()
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise StorageError(f"the store names a file outside the study: {name!r}", where=self.url)
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._reached("read"):
                part = path.with_name(f"{path.name}.part")
                files.get_file(posixpath.join(there, name), str(part))
                part.replace(path)

    def __reduce__(self) -> tuple[object, ...]:
        """A store is sent as its URL: connections belong to the machine that opened them."""
        return type(self), (self.url, self.study)

    def _open(self) -> tuple[AbstractFileSystem, str]:
        if self._opened is None:
            try:
                from fsspec.core import url_to_fs
            except ImportError as error:
                raise MissingExtraError(
                    "fsspec is needed to reach a store, and is not installed", where="store", fix="pip install fsspec"
                ) from error
            try:
                files, root = url_to_fs(self.url)
            except (ImportError, ValueError) as error:
                raise SpecError(
                    f"cannot open the store {self.url!r}",
                    where="run.executor, store",
                    why=str(error),
                    fix="give a URL such as file:///mnt/share/nas or s3://bucket/nas, and install what it needs",
                ) from error
            self._opened = files, posixpath.join(root, self.study)
        return self._opened

    @contextmanager
    def _reached(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (StorageError, KeyboardInterrupt):
            raise
        except Exception as error:  # every file system has errors of its own
            raise StorageError(
                f"cannot {verb} the store",
                where=self.url,
                why=f"{type(error).__name__}: {error}",
                fix="check the URL, the credentials on that machine, and the room that is left",
            ) from error


def open_store(url: str | None, folder: Path) -> Store:
    """Returns the store of a study.

    Args:
        url: URL that fsspec knows; None if every machine reaches the folder under its path.
        folder: Folder of artifacts of the study.
    """
    return SharedFolder() if url is None else UrlStore(url, folder.name)
