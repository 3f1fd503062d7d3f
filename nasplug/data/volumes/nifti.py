"""Reading of NIfTI files: image and mask that belong together, or one message that says what is wrong."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.volumes.case import Case, CaseList, Volume, spacing_of
from nasplug.optional import require

ENDINGS = (".nii.gz", ".nii")

#: Largest relative difference of two spacings that are meant to be one.
_TOLERANCE = 1e-2


def stem(path: str | Path) -> str:
    """Returns the name of a file without `.nii` or `.nii.gz`."""
    name = Path(path).name
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def read_case(case: Case, cases: CaseList) -> Volume:
    """Reads the channels and the mask of a case.

    Args:
        case: Case with files.
        cases: The list that it is from: it says how many channels there are and which values the masks have.

    Raises:
        DataError: A file is missing or damaged, has other dimensions than promised, or lies on another grid.
    """
    assert case.label is not None
    channels: list[NDArray[np.float32]] = []
    affine: NDArray[np.float64] | None = None
    expected = len(cases.channels) if len(case.images) == 1 else 1
    for path in case.images:
        array, own = _load(path)
        array = _channels(array, expected, path)
        if affine is None:
            affine = own
        elif channels:
            _same_grid(channels[0].shape, affine, case.images[0], array.shape[1:], own, path, "channels of one case")
        channels += list(array)
    assert affine is not None
    if len(channels) != len(cases.channels):
        raise DataError(
            f"{case.name} has {plural(len(channels), 'channel')}, and the data set promises {len(cases.channels)}",
            where=str(case.images[0]),
            fix="add the missing files, or correct the list of channels",
        )
    mask, own = _load(case.label)
    mask = _channels(mask, 1, case.label)[0]
    _same_grid(channels[0].shape, affine, case.images[0], mask.shape, own, case.label, "image and label")
    return Volume(np.stack(channels), classes_of(mask, cases.values, str(case.label)), affine)


def read_channels(path: Path, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Reads one file with all channels of an image.

    Args:
        path: Path of the file.
        channels: Number of channels that it must hold.

    Returns:
        Intensities (C, X, Y, Z), and the map from voxel positions to millimetres (4, 4).

    Raises:
        DataError: The file is missing or damaged, or has other dimensions.
    """
    array, affine = _load(path)
    return _channels(array, channels, path), affine


def write_mask(mask: NDArray[np.int32], image: Path, path: Path) -> None:
    """Writes a mask with the directions, the place and the spacing of an image.

    Args:
        mask: Value of each voxel (X, Y, Z).
        image: File of the image.
        path: File to write.
    """
    nibabel = require("nibabel", extra="medical", purpose="write NIfTI files")
    of = nibabel.load(image)
    kind = np.uint8 if mask.min() >= 0 and mask.max() <= 255 else np.int16
    header = of.header.copy()
    header.set_data_dtype(kind)
    header["cal_min"] = header["cal_max"] = 0  # the range of intensities to display
    nibabel.save(nibabel.Nifti1Image(mask.astype(kind), of.affine, header), path)


def classes_of(mask: NDArray[Any], values: Sequence[int], where: str) -> NDArray[np.uint8]:
    """Returns the position of the class of each voxel.

    Args:
        mask: Values as they are in the file.
        values: Value of each class.
        where: File, for messages.

    Returns:
        uint8 array of the shape of the mask.

    Raises:
        DataError: A value is not an integer, or not that of a class.
    """
    found = np.unique(mask)
    if not np.isfinite(found).all():
        raise DataError("the label holds NaN or infinity", where=where, fix="write integers")
    whole = np.rint(found)
    if np.abs(found - whole).max() > 1e-3:
        odd = found[np.abs(found - whole).argmax()]
        raise DataError(
            f"the label holds {odd:g}, which is not an integer",
            where=where,
            why="resampled with interpolation, or an image in the place of a label",
            fix="resample labels by the nearest neighbour",
        )
    strange = sorted(set(whole.astype(np.int64).tolist()) - set(values))
    if strange:
        raise DataError(
            f"the label holds the value {strange[0]}, which is not one of the {plural(len(values), 'class')}",
            where=where,
            why=f"the classes have the values {', '.join(map(str, values))}",
            fix="add the class to the list of labels, or correct the label"
            if strange[0]
            else "name the background too, as the class of the value 0",
        )
    return np.asarray(np.searchsorted(np.asarray(values), np.rint(mask).astype(np.int64)), np.uint8)


def _load(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    nibabel = require("nibabel", extra="medical", purpose="read NIfTI files")
    if not path.is_file():
        raise DataError("the file does not exist", where=str(path), fix="correct the list of cases, or add the file")
    try:
        image = nibabel.load(path)
        if image.get_data_dtype().fields:
            raise DataError(
                "the file holds colours, not intensities",
                where=str(path),
                why=f"each voxel has the parts {', '.join(image.get_data_dtype().names)}",
                fix="write each part, or their mean, as a file of intensities",
            )
        if image.get_data_dtype().kind == "c":
            raise DataError(
                "the file holds complex numbers, not intensities",
                where=str(path),
                fix="write their magnitude, or phase and magnitude as two channels",
            )
        array = np.asarray(image.dataobj, dtype=np.float32)
        affine = np.asarray(image.affine, dtype=np.float64)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error, TypeError) as error:
        raise DataError(
            "cannot read the NIfTI file",
            where=str(path),
            why=" ".join(f"{error}".split())[:200] or type(error).__name__,
            fix="fetch it again, or name it .nii if it is not compressed: it is truncated, damaged or not gzipped NIfTI"
            if path.name.endswith(".gz")
            else "fetch it again: it is truncated, damaged or not NIfTI",
        ) from error
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or min(spacing_of(affine)) <= 0:
        raise DataError("the file does not say the size of its voxels", where=str(path), fix="correct its affine map")
    return array, affine


def _channels(array: NDArray[np.float32], expected: int, path: Path) -> NDArray[np.float32]:
    """Brings (X, Y), (X, Y, Z) or (X, Y, Z, C) to (C, X, Y, Z)."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3 and expected == 1:
        return array[None]
    if array.ndim == 4 and array.shape[3] == expected:
        return np.moveaxis(array, 3, 0)
    said = "3-D" if expected == 1 else f"4-D with {plural(expected, 'channel')}"
    raise DataError(
        f"the file is {array.ndim}-D, of shape {tuple(array.shape)}, and {said} was said",
        where=str(path),
        why="the data set's list of channels decides how many a file has",
        fix="split a series in time or a stack of channels into files, or correct the list of channels",
    )


def _same_grid(
    shape: tuple[int, ...],
    affine: NDArray[np.float64],
    path: Path,
    other_shape: tuple[int, ...],
    other: NDArray[np.float64],
    other_path: Path,
    what: str,
) -> None:
    where = f"{path} and {other_path}"
    if shape != other_shape:
        raise DataError(
            f"{what} have different shapes: {shape} and {other_shape}",
            where=where,
            fix="resample one to the grid of the other",
        )
    spacing, other_spacing = spacing_of(affine), spacing_of(other)
    if not np.allclose(spacing, other_spacing, rtol=_TOLERANCE):
        raise DataError(
            f"{what} have different spacing: {_mm(spacing)} and {_mm(other_spacing)}",
            where=where,
            fix="resample one to the grid of the other, or correct the header",
        )
    corners = np.array([[x, y, z, 1] for x in (0, shape[0]) for y in (0, shape[1]) for z in (0, shape[2])]).T
    apart = np.abs((affine - other) @ corners)[:3].max()
    if apart > 0.5 * max(spacing):
        raise DataError(
            f"{what} lie in different places or directions: up to {apart:.3g} mm apart",
            where=where,
            why="their affine maps differ",
            fix="write both with the same affine map",
        )


def _mm(spacing: Sequence[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing) + " mm"
