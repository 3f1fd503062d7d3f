"""Volumes turned, resampled and scaled once per machine, and read by every trial without loading them again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json
from nasplug.data.kept import kept_folder
from nasplug.data.volumes.case import Case
from nasplug.data.volumes.facts import Fingerprint, fingerprint, read_checked
from nasplug.data.volumes.grid import Grid
from nasplug.data.volumes.intensity import Scale, scales
from nasplug.data.volumes.settings import Preparation
from nasplug.data.volumes.source import VolumeSource

#: Part of every key; raise it when the meaning of prepared files changes.
FORMAT = 2
#: Number of voxels that resampling may make of a volume: 4 GiB of each channel.
LARGEST = 2**30
#: Voxels of each class of a case among which centres of patches are drawn.
_CENTRES = 10_000


class _About(msgspec.Struct, frozen=True):
    """What a folder of prepared cases holds."""

    grids: tuple[Grid, ...]
    scales: tuple[Scale, ...]


class Prepared:
    """Prepared cases; arrays are memory-mapped, so that all processes of a machine share one copy.

    Args:
        folder: Folder of the files.
        facts: Fingerprint of the data set.
        slices: Axis, after turning, across which slices lie; it is the last one of every prepared volume.

    Attributes:
        facts: Fingerprint of the data set.
        slices: Axis across which slices lie.
        grids: Way of each case to the grid of the networks.
        scales: Scale of each channel.
    """

    def __init__(self, folder: Path, facts: Fingerprint, slices: int) -> None:
        self._folder, self.facts, self.slices = folder, facts, slices
        try:
            about = msgspec.json.decode((folder / "about.json").read_bytes(), type=_About)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(
                "the prepared volumes are damaged", where=str(folder), why=str(error), fix="delete this folder"
            ) from error
        self.grids, self.scales = about.grids, about.scales

    @classmethod
    def of(cls, source: VolumeSource, preparation: Preparation, slices: int | None = None) -> Prepared:
        """Prepares the cases of a source, or finds them prepared.

        Args:
            source: Source of the volumes.
            preparation: Settings.
            slices: Axis across which slices lie; None means that of the thickest voxels.

        Raises:
            DataError: A case is damaged, empty, or its image and mask do not belong together.
        """
        facts = fingerprint(source, preparation.empty, preparation.nan)
        axis = facts.slices if slices is None else slices
        plain = asdict(preparation)
        arguments: dict[str, Json] = {"source": source.arguments(), "format": FORMAT, "slices": axis, **plain}

        def make(folder: Path) -> None:
            _prepare(folder, source, facts, preparation, axis)

        return cls(kept_folder("volumes", source.load().files, arguments, make), facts, axis)

    def image(self, position: int) -> NDArray[np.float32]:
        """Returns the scaled intensities of a case (C, X, Y, Z) on the grid of the networks."""
        array: NDArray[np.float32] = self._read(f"image{position}")
        return array

    def label(self, position: int) -> NDArray[np.uint8]:
        """Returns the mask of a case (X, Y, Z) on the grid of the networks."""
        array: NDArray[np.uint8] = self._read(f"label{position}")
        return array

    def truth(self, position: int) -> NDArray[np.uint8]:
        """Returns the mask of a case (X, Y, Z) on the grid of its file."""
        array: NDArray[np.uint8] = self._read(f"truth{position}")
        return array

    def centres(self, position: int) -> list[NDArray[np.int64]]:
        """Returns flat positions of voxels of each class, at most 10,000 each, on the grid of the networks."""
        flat: NDArray[np.int64] = self._read(f"centres{position}")
        counts = flat[: len(self.facts.classes)]
        return np.split(flat[len(counts) :], np.cumsum(counts)[:-1])

    def _read(self, name: str) -> NDArray[Any]:
        try:
            # "c" is copy-on-write: pages stay shared, and nobody can change the files through the array.
            array: NDArray[Any] = np.load(self._folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            return array
        except (OSError, ValueError) as error:
            raise DataError(
                "a prepared volume is damaged", where=str(self._folder), why=str(error), fix="delete this folder"
            ) from error


def _prepare(folder: Path, source: VolumeSource, facts: Fingerprint, preparation: Preparation, slices: int) -> None:
    cases = source.load()
    spacing = wanted_spacing(facts, preparation)
    found = scales(facts.channels, preparation)

    def one(entry: tuple[int, Case]) -> Grid:
        position, case = entry
        volume = read_checked(source, case, cases, preparation.empty, preparation.nan)
        grid = Grid.of(volume.label.shape, volume.affine, spacing, slices)
        if math.prod(grid.shape) > max(LARGEST, volume.label.size):
            raise DataError(
                f"the spacing makes a volume of {' x '.join(f'{size:,}' for size in grid.shape)} voxels",
                where=f"{cases.where}, case {case.name}",
                why=f"the file has {' x '.join(map(str, volume.label.shape))}, and {LARGEST:,} are the most",
                fix="give a larger preparation.spacing, in millimetres, or `original`",
            )
        image = np.stack([scale.apply(channel) for scale, channel in zip(found, volume.image, strict=True)])
        label = grid.label(volume.label)
        # The last axis varies slowest, so that a slice lies in one piece.
        np.save(folder / f"image{position}.npy", np.asfortranarray(grid.image(image)))
        np.save(folder / f"label{position}.npy", np.asfortranarray(label))
        np.save(folder / f"truth{position}.npy", volume.label)
        np.save(folder / f"centres{position}.npy", _centres(label, len(facts.classes)))
        return grid

    with ThreadPoolExecutor(2) as pool:
        grids = tuple(pool.map(one, enumerate(cases.cases)))
    (folder / "about.json").write_bytes(msgspec.json.encode(_About(grids, tuple(found))))


def wanted_spacing(facts: Fingerprint, preparation: Preparation) -> Sequence[float] | None:
    """Returns the size of a voxel that all cases are brought to, None where each keeps its own.

    Args:
        facts: Fingerprint of the data set.
        preparation: Settings.
    """
    if not isinstance(preparation.spacing, str):
        return preparation.spacing
    if preparation.spacing == "original" or facts.one_spacing or facts.flat:
        return None
    return facts.spacing


def _centres(label: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Counts of each class, then evenly spaced flat positions of its voxels."""
    flat = label.ravel()
    parts = []
    for value in range(classes):
        where = np.flatnonzero(flat == value)
        if len(where) > _CENTRES:
            where = where[np.linspace(0, len(where) - 1, _CENTRES).astype(int)]
        parts.append(where)
    return np.concatenate([[len(part) for part in parts], *parts]).astype(np.int64)
