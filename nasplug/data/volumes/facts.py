"""The fingerprint of a data set: what every case measures, read once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json
from nasplug.contract.wording import plural
from nasplug.data.kept import kept_folder
from nasplug.data.volumes.case import Case, CaseList, Volume
from nasplug.data.volumes.grid import Grid, orientation
from nasplug.data.volumes.settings import Allowed
from nasplug.data.volumes.source import VolumeSource

#: Part of every key; raise it when the meaning of kept facts changes.
FORMAT = 3
#: Voxels of the foreground of each case whose intensities are remembered.
_SAMPLES = 2000
_PERCENTILES = (0.5, 50.0, 99.5)
_FIX_EMPTY = "drop the case, or keep such cases: preparation: {empty: keep}"


class CaseFacts(msgspec.Struct, frozen=True):
    """What one case measures, turned so that its axes run to the right, the front and up.

    Attributes:
        name: Name of the case.
        patient: Name of the patient.
        shape: Number of voxels along each axis.
        spacing: Size of a voxel along each axis, in millimetres.
        orientation: Direction of each axis of the file, such as `LPS`.
        voxels: Number of voxels of each class.
        low, high: Lowest and highest intensity of each channel.
        split: `train`, `val`, `test` or empty, as the source says.
        fold: Fold in which the case validates, as the source says.
    """

    name: str
    patient: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    orientation: str
    voxels: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    split: str = ""
    fold: int | None = None


class Channel(msgspec.Struct, frozen=True):
    """Intensities of one channel in the foreground of all cases that are not kept for the test.

    Attributes:
        name: Name of the channel.
        low: 0.5th percentile.
        median: Median.
        high: 99.5th percentile.
        mean: Mean.
        std: Standard deviation.
    """

    name: str
    low: float
    median: float
    high: float
    mean: float
    std: float


class Fingerprint(msgspec.Struct, frozen=True):
    """What a data set measures.

    Attributes:
        where: Place of the data.
        classes: Names of the classes, the background first.
        channels: Intensities of each channel.
        cases: Facts of each case, in the order of the source.
    """

    where: str
    classes: tuple[str, ...]
    channels: tuple[Channel, ...]
    cases: tuple[CaseFacts, ...]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Median size of a voxel to the right, the front and up, in millimetres."""
        return tuple(np.median([case.spacing for case in self.cases], axis=0).tolist())

    @property
    def shape(self) -> tuple[int, ...]:
        """Median number of voxels to the right, the front and up, each case with its own spacing."""
        return tuple(int(size) for size in np.median([case.shape for case in self.cases], axis=0))

    @property
    def flat(self) -> bool:
        """Whether all cases are flat images."""
        return all(case.shape[2] == 1 for case in self.cases)

    @property
    def one_spacing(self) -> bool:
        """Whether all cases have the same spacing."""
        return all(np.allclose(case.spacing, self.spacing, rtol=1e-2) for case in self.cases)

    @property
    def slices(self) -> int:
        """Axis across which slices lie: that of the thickest voxels, the last of equals."""
        if self.flat:
            return 2
        return max(range(3), key=lambda axis: (round(self.spacing[axis], 3), axis))

    def to_plain(self) -> dict[str, Json]:
        """Returns plain data for JSON."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return plain


def fingerprint(source: VolumeSource, empty: Allowed = "refuse", nan: Allowed = "refuse") -> Fingerprint:
    """Reads every voxel of a source once per machine, and refuses what no training should meet.

    Args:
        source: Source of the volumes.
        empty: Whether masks without foreground and images of one value are refused or kept.
        nan: Whether voxels that are not numbers are refused, or kept as 0.

    Raises:
        DataError: A case is damaged, empty, or its image and mask do not belong together; or two patients have one
            image.
    """
    cases = source.load()
    arguments: dict[str, Json] = {"source": source.arguments(), "format": FORMAT, "empty": empty, "nan": nan}

    def make(folder: Path) -> None:
        found = _measure(source, cases, empty, nan)
        (folder / "facts.json").write_bytes(msgspec.json.encode(found))

    folder = kept_folder("fingerprints", cases.files, arguments, make)
    try:
        return msgspec.json.decode((folder / "facts.json").read_bytes(), type=Fingerprint)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(
            "the kept fingerprint is damaged", where=str(folder), why=str(error), fix="delete this folder"
        ) from error


def read_checked(source: VolumeSource, case: Case, cases: CaseList, empty: Allowed, nan: Allowed) -> Volume:
    """Reads a case and refuses what no training should meet.

    Raises:
        DataError: As for `fingerprint`.
    """
    volume = source.read(case, cases)
    where = f"{cases.where}, case {case.name}"
    if volume.image.shape[1:] != volume.label.shape:
        raise DataError(
            f"image and label have different shapes: {volume.image.shape[1:]} and {volume.label.shape}", where=where
        )
    finite = np.isfinite(volume.image)
    if not finite.all():
        if nan == "refuse":
            count = int(finite.size - finite.sum())
            raise DataError(
                f"{plural(count, 'voxel')} of the image {'is' if count == 1 else 'are'} NaN or infinite",
                where=where,
                fix="repair the image, or read them as 0: preparation: {nan: keep}",
            )
        image = np.where(finite, volume.image, np.float32(0))
        volume = Volume(image, volume.label, volume.affine)
    if empty == "refuse" and not volume.label.any():
        raise DataError(
            "the label is empty: it holds nothing but background",
            where=where,
            fix=_FIX_EMPTY,
        )
    if empty == "refuse":
        for name, channel in zip(cases.channels, volume.image, strict=True):
            if channel.min() == channel.max():
                raise DataError(
                    f"the image has the value {channel.flat[0]:g} everywhere",
                    where=where,
                    why=f"so says the channel {name!r}, and a network would learn nothing from it",
                    fix=_FIX_EMPTY,
                )
    return volume


def _measure(source: VolumeSource, cases: CaseList, empty: Allowed, nan: Allowed) -> Fingerprint:
    def look(case: Case) -> tuple[CaseFacts, NDArray[np.float32], bytes]:
        volume = read_checked(source, case, cases, empty, nan)
        return _facts(case, volume, len(cases.classes)), _foreground(volume), _digest(volume)

    with ThreadPoolExecutor(4) as pool:  # decompression is outside of Python's lock
        found = list(pool.map(look, cases.cases))
    facts = tuple(each for each, _, _ in found)
    _refuse_twins(cases.where, facts, [digest for _, _, digest in found])
    values = [part for each, part, _ in found if each.split != "test"] or [part for _, part, _ in found]
    return Fingerprint(cases.where, cases.classes, _channels(cases.channels, values), facts)


def _digest(volume: Volume) -> bytes:
    """Says whether two images are one; empty for an image of one value, which says nothing of a patient."""
    if all(channel.min() == channel.max() for channel in volume.image):
        return b""
    shape = repr(volume.image.shape).encode()
    return hashlib.blake2b(shape + volume.image.tobytes(), digest_size=16).digest()


def _refuse_twins(where: str, facts: Sequence[CaseFacts], digests: Sequence[bytes]) -> None:
    """Refuses one image under the names of two patients, who may then be in two parts."""
    first: dict[bytes, CaseFacts] = {}
    for case, digest in zip(facts, digests, strict=True):
        twin = first.setdefault(digest, case)
        if digest and twin.patient != case.patient:
            raise DataError(
                f"cases {twin.name!r} and {case.name!r} of two patients have the same image",
                where=where,
                why="one of them may train and the other one validate, so that scores would be too good",
                fix="drop one of them, or name one patient in both: `patient` of the source finds it in the names",
            )


def _facts(case: Case, volume: Volume, classes: int) -> CaseFacts:
    grid = Grid.of(volume.label.shape, volume.affine)
    flat = volume.image.reshape(len(volume.image), -1)
    return CaseFacts(
        case.name,
        case.patient,
        grid.turned,
        grid.spacing,
        orientation(volume.affine),
        tuple(np.bincount(volume.label.ravel(), minlength=classes).tolist()),
        tuple(flat.min(1).tolist()),
        tuple(flat.max(1).tolist()),
        case.split,
        case.fold,
    )


def _foreground(volume: Volume) -> NDArray[np.float32]:
    """Intensities (C, n) of evenly spaced voxels of the foreground; of all voxels where there is none."""
    flat = volume.image.reshape(len(volume.image), -1)
    where = np.flatnonzero(volume.label)
    where = where if len(where) else np.arange(flat.shape[1])
    chosen = where[np.linspace(0, len(where) - 1, min(len(where), _SAMPLES)).astype(int)]
    return flat[:, chosen]


def _channels(names: Sequence[str], values: Iterable[NDArray[np.float32]]) -> tuple[Channel, ...]:
    pooled: NDArray[Any] = np.concatenate(list(values), axis=1).astype(np.float64)
    found = []
    for name, row in zip(names, pooled, strict=True):
        low, median, high = np.percentile(row, _PERCENTILES).tolist()
        clipped = row.clip(low, high)
        found.append(Channel(name, low, median, high, float(clipped.mean()), float(clipped.std()) or 1.0))
    return tuple(found)
