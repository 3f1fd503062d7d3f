"""Where files of a study travel between machines: the one interface that executors need of a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Holds files of a study by name, such as `trial-00003/weights.safetensors`, between machines that share no folder.

    Attributes:
        shared: Whether every machine reaches the study's own folder, so that nothing needs to travel.
    """

    @property
    def shared(self) -> bool: ...  # noqa: D102

    def names(self, below: str) -> list[str]:
        """Names of the files below a folder of the store; an empty answer for a folder that does not exist.

        Raises:
            StorageError: The store cannot be reached.
        """

    def put(self, root: Path, names: Sequence[str]) -> None:
        """Copies files below `root` into the store.

        Raises:
            StorageError: The store cannot be written.
        """

    def get(self, root: Path, names: Sequence[str]) -> None:
        """Copies files of the store to where they belong below `root`.

        Raises:
            StorageError: The store cannot be read.
        """
