"""Archives of arrays from strangers: opened without pickle, and refused in one way whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasplug.contract.errors import DataError, NasplugError

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile


@contextmanager
def arrays_in(
    path: str | Path, *, what: str = "the .npz file", fix: str | None = None, error: type[NasplugError] = DataError
) -> Iterator[NpzFile]:
    """Opens an .npz file; its arrays are read inside the block, each when it is asked for.

    Args:
        path: Path of the file.
        what: Noun for what the file holds, for messages.
        fix: Advice for whoever has a file that cannot be read.
        error: Class of the error.

    Yields:
        The open archive.

    Raises:
        NasplugError: Of the class `error`: the file is missing or damaged, holds objects, promises more than there is,
            or the block cannot read what is inside.
    """
    try:
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            raise error("the file holds one array, not a collection", where=str(path), fix=fix)
        with opened as file:
            yield file
    except NasplugError:
        raise
    except Exception as damage:  # zip, zlib, headers that are parsed as Python, sizes that no memory holds
        raise error(f"cannot read {what}", where=str(path), why=_said(damage), fix=fix) from damage


def _said(damage: Exception) -> str:
    """What an error of a library says, on one line."""
    text = " ".join(str(damage).split())[:200]
    return f"{type(damage).__name__}: {text}" if text else type(damage).__name__
