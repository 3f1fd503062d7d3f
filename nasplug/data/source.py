"""What every source of images promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from nasplug.contract.errors import DataError
from nasplug.contract.kinds import component_type
from nasplug.data.arrays import ImageArrays


@component_type("data")
class ImageSource(ABC):
    """Reads labelled images from somewhere.

    A source is a small description: its constructor takes plain values and touches no file, so that it can be written
    in YAML, compared, and sent to another process. `check` looks whether the files are there; `load` reads.
    """

    @property
    def name(self) -> str:
        """What messages and reports call the data."""
        return type(self).__name__.lower()

    def check(self) -> None:  # noqa: B027  (a source without files has nothing to check)
        """Looks quickly whether the data can be there, reading no images.

        Raises:
            DataError: A file or folder is missing.
        """

    @abstractmethod
    def load(self) -> ImageArrays:
        """Reads everything.

        Raises:
            DataError: Something is missing, truncated or not what its format promises.
        """


def existing_file(path: str | Path, where: str) -> Path:
    """Returns `path` with `~` expanded.

    Raises:
        DataError: It is not a file.
    """
    full = Path(path).expanduser()
    if not full.is_file():
        kind = "is a folder, not a file" if full.is_dir() else "does not exist"
        raise DataError(f"{str(full)!r} {kind}", where=where, fix=_path_hint(full))
    return full


def existing_folder(path: str | Path, where: str) -> Path:
    """Returns `path` with `~` expanded.

    Raises:
        DataError: It is not a folder.
    """
    full = Path(path).expanduser()
    if not full.is_dir():
        kind = "is a file, not a folder" if full.is_file() else "does not exist"
        raise DataError(f"{str(full)!r} {kind}", where=where, fix=_path_hint(full))
    return full


def _path_hint(path: Path) -> str:
    if path.is_absolute():
        return "correct the path"
    return f"correct the path; relative paths start in the working folder {str(Path.cwd())!r}"
