"""A study in TensorBoard: a folder for the study, and one inside for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.builtin.tracking.nested import NestedRuns
from nasplug.contract.records import Scalar

if TYPE_CHECKING:
    from tensorboard.summary import Writer


@dataclass
class Board:
    """An event file.

    Attributes:
        folder: Folder of the file.
        writer: Writer of the file.
    """

    folder: Path
    writer: Writer


class TensorBoardTracker(NestedRuns[Board]):
    """Writes `FOLDER/STUDY` for the study and `FOLDER/STUDY/trial-00003` for each trial.

    Args:
        folder: Folder that `tensorboard --logdir` is pointed at.
        study: Name of the study's folder; None takes the name of the study file.
    """

    package = "tensorboard"

    def __init__(self, folder: str = "runs/tensorboard", study: str | None = None) -> None:
        super().__init__(study)
        self.folder = Path(folder)

    def open_parent(self, name: str, identifier: str, facts: Mapping[str, Scalar]) -> Board:
        """Opens the folder of the study."""
        return _opened(self.folder / name)

    def open_child(self, parent: Board, name: str, facts: Mapping[str, Scalar]) -> Board:
        """Opens the folder of a trial."""
        return _opened(parent.folder / name)

    def log(self, run: Board, values: Mapping[str, float], step: int) -> None:
        """Writes scalars."""
        for name, value in values.items():
            run.writer.add_scalar(name, value, step)

    def close(self, run: Board, state: str, reason: str) -> None:
        """Closes the file."""
        run.writer.close()


def _opened(folder: Path) -> Board:
    from tensorboard.summary import Writer

    folder.mkdir(parents=True, exist_ok=True)
    return Board(folder, Writer(str(folder)))
