"""Cases of medical images: one volume of every channel, and the mask that says what every voxel is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Case:
    """One image with its mask, not yet read.

    Attributes:
        name: Name, unique in its source.
        patient: Name of the patient. All cases of a patient stay in one part and one fold.
        images: Files of the channels, in order; one file may hold several channels. Empty for cases inside an archive.
        label: File of the mask; None where the case is inside an archive.
        split: `train`, `val` or `test` where the source says so, else empty.
        fold: Fold in which the case validates, where the source says so.
        members: Positions of the case in the arrays of an archive, in the order of slices.
    """

    name: str
    patient: str
    images: tuple[Path, ...] = ()
    label: Path | None = None
    split: str = ""
    fold: int | None = None
    members: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseList:
    """What a source holds.

    Attributes:
        cases: Labelled cases.
        classes: Names of the classes; the first is the background.
        channels: Names of the channels, such as `CT` or `T2`.
        where: Description for messages.
        values: Value of each class in the masks, such as 0 and 255.
        files: All files that the voxels come from.
    """

    cases: tuple[Case, ...]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    where: str
    values: tuple[int, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """One case in memory, on the grid of its file.

    Attributes:
        image: Intensities, float32 (C, X, Y, Z); Z is 1 for a flat image.
        label: Position of the class of each voxel, uint8 (X, Y, Z).
        affine: Map from voxel positions to millimetres, float64 (4, 4).
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis, in millimetres."""
        return spacing_of(self.affine)


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, ...]:
    """Returns the size of a voxel along each axis, in millimetres.

    Args:
        affine: Map from voxel positions to millimetres (4, 4).
    """
    return tuple(float(size) for size in np.sqrt((affine[:3, :3] ** 2).sum(0)))


def affine_of(spacing: Sequence[float]) -> NDArray[np.float64]:
    """Returns the affine map of an upright grid with this spacing.

    Args:
        spacing: Size of a voxel along each axis, in millimetres.
    """
    return np.diag([*map(float, spacing), 1.0])
