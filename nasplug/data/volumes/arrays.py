"""Volumes and slices in one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.data.source import existing_file
from nasplug.data.volumes.case import Case, CaseList, Volume, affine_of, spacing_of
from nasplug.data.volumes.nifti import classes_of
from nasplug.data.volumes.source import VolumeSource, listed

Layout = Literal["auto", "volumes", "slices", "one"]

_SPLITS = ("train", "val", "test")


class NpzVolumes(VolumeSource):
    """Reads an .npz file with the arrays `images` and `labels`, without pickle.

    `labels` is (N, X, Y, Z) for volumes, (N, H, W) for slices or flat images, and (X, Y, Z) for one volume; `images`
    has the same shape, or one axis more for channels, behind N or at the end. Further arrays are used where they are
    there: `patient` (N), by which slices become one volume, in the order of `slice` (N); `split` (N), 0 or `train`, 1
    or `val`, 2 or `test`; `names` (N); `shapes` (N, 3), the corner of each block that is not padding; `classes`;
    `spacing_mm`.

    Args:
        path: The file.
        images: Key of the intensities.
        labels: Key of the masks.
        classes: Names of the classes, for files without them.
        channels: Names of the channels, such as `[CT]`, which says how intensities are scaled.
        spacing: Size of a voxel along each axis in millimetres, for files without it; None means 1.
        layout: Meaning of the first axis: `volumes`, `slices`, `one` (there is only one volume), or `auto`, which takes
            four axes for volumes and three for slices.

    Raises:
        DataError: The layout is unknown.
    """

    def __init__(
        self,
        path: str,
        images: str = "images",
        labels: str = "labels",
        classes: list[str] | None = None,
        channels: list[str] | None = None,
        spacing: list[float] | None = None,
        layout: Layout = "auto",
    ) -> None:
        if layout not in get_args(Layout):
            raise DataError(
                f"there is no layout {layout!r}", where="NpzVolumes", fix=did_you_mean(layout, get_args(Layout))
            )
        self.path, self.images, self.labels = path, images, labels
        self.classes, self.channels, self.spacing = classes, channels, spacing
        self.layout: Layout = layout
        self._arrays: dict[str, NDArray[Any]] | None = None

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return Path(self.path).stem

    def check(self) -> None:
        """See the base class."""
        existing_file(self.path, "NpzVolumes")

    def load(self) -> CaseList:
        """See the base class."""
        path = existing_file(self.path, "NpzVolumes")
        arrays = self._opened()
        labels, images = arrays[self.labels], arrays[self.images]
        _channel_axis(images, labels, str(path))
        count = len(labels)
        patients = self._per_case(arrays, "patient", count)
        split = self._per_case(arrays, "split", count)
        names = self._per_case(arrays, "names", count)
        cases: list[Case] = []
        if self._layout(labels) == "slices" and patients is not None:
            order = self._per_case(arrays, "slice", count)
            positions = np.arange(count) if order is None else np.argsort(order, kind="stable")
            for patient in dict.fromkeys(patients.tolist()):
                members = [int(i) for i in positions if patients[i] == patient]
                parts = {_split(split, i, str(path)) for i in members}
                if len(parts) > 1:
                    raise DataError(
                        f"patient {patient!r} is in two parts: {' and '.join(sorted(parts))}",
                        where=str(path),
                        why="slices of one patient are nearly alike, so that scores would be too good",
                        fix="put all slices of a patient into one part",
                    )
                cases.append(Case(f"{patient}", f"{patient}", split=parts.pop(), members=tuple(members)))
        else:
            width = len(str(count - 1))
            for i in range(count):
                name = f"case{i:0{width}d}" if names is None else str(names[i])
                patient = name if patients is None else str(patients[i])
                cases.append(Case(name, patient, split=_split(split, i, str(path)), members=(i,)))
        classes = self._classes(arrays, labels)
        return CaseList(
            listed(cases, str(path), "the arrays are empty"),
            classes,
            tuple(self.channels or self._channels(images, labels, str(path))),
            str(path),
            tuple(range(len(classes))),
            (path,),
        )

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        arrays = self._opened()
        labels, images = arrays[self.labels], arrays[self.images]
        axis = _channel_axis(images, labels, cases.where)
        members = list(case.members)
        label, image = labels[members], images[members]
        image = image[:, None] if axis is None else np.moveaxis(image, axis, 1)  # (n, C, ...)
        if self._layout(labels) == "slices":  # (n, H, W) becomes (H, W, n)
            label, image = np.moveaxis(label, 0, -1), np.moveaxis(image, 0, -1)
        else:
            label, image = label[0], image[0]
            if "shapes" in arrays:
                corner = self._corner(arrays["shapes"], members[0], labels.shape)
                label, image = label[corner], image[(slice(None), *corner)]
        where = f"{cases.where}, {case.name}"
        mask = classes_of(label, cases.values, where)
        return Volume(np.ascontiguousarray(image, dtype=np.float32), mask, self._affine(arrays))

    def _corner(self, shapes: NDArray[Any], position: int, block: tuple[int, ...]) -> tuple[slice, ...]:
        """The part of a block that is not padding."""
        if shapes.dtype.kind not in "ui" or shapes.shape != (block[0], len(block) - 1):
            raise DataError(
                f"the array 'shapes' is {shapes.dtype} of shape {shapes.shape}",
                where=str(self.path),
                fix=f"write integers of shape {(block[0], len(block) - 1)}, the size of each volume along each axis",
            )
        sizes = [int(size) for size in shapes[position]]
        if any(not 0 < size <= most for size, most in zip(sizes, block[1:], strict=True)):
            raise DataError(
                f"the array 'shapes' says {sizes} of volume {position}",
                where=str(self.path),
                fix=f"write sizes from 1 to those of its block, {list(block[1:])}",
            )
        return tuple(map(slice, sizes))

    def _affine(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        if self.spacing is None and "affine" in arrays and arrays["affine"].shape == (4, 4):
            affine = np.asarray(arrays["affine"], np.float64)
            if not np.isfinite(affine).all() or min(spacing_of(affine)) <= 0:
                raise DataError("the array 'affine' does not say the size of the voxels", where=str(self.path))
            return affine
        given = np.asarray(arrays.get("spacing_mm", np.ones(3)) if self.spacing is None else self.spacing)
        numbers = given.dtype.kind in "uif" and given.shape in ((2,), (3,))
        if not numbers or not np.isfinite(given).all() or given.min() <= 0:
            raise DataError(f"the spacing is {given.tolist()}", where=str(self.path), fix="give three numbers above 0")
        return affine_of([*given.tolist(), 1.0][:3])

    def _opened(self) -> dict[str, NDArray[Any]]:
        if self._arrays is None:
            path = existing_file(self.path, "NpzVolumes")
            try:
                opened = np.load(path, allow_pickle=False)
                if isinstance(opened, np.ndarray):
                    raise DataError("the file holds one array, not a collection", where=str(path))
                with opened as file:
                    for key in (self.images, self.labels):
                        if key not in file.files:
                            raise DataError(
                                f"there is no array {key!r}", where=str(path), why=did_you_mean(key, file.files)
                            )
                    self._arrays = {key: file[key] for key in file.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(
                    "cannot read the .npz file", where=str(path), why=str(error), fix="fetch it again"
                ) from error
            for key in (self.images, self.labels):
                kind = self._arrays[key].dtype
                if kind.kind not in "buif":
                    self._arrays = None
                    raise DataError(
                        f"the array {key!r} holds {kind} in place of real numbers",
                        where=str(path),
                        fix="write intensities as floats or integers, and labels as integers",
                    )
            if self.layout == "one":
                for key in (self.images, self.labels):
                    self._arrays[key] = self._arrays[key][None]
        return self._arrays

    def _layout(self, labels: NDArray[Any]) -> str:
        if self.layout in ("slices", "volumes"):
            return self.layout
        return "volumes" if labels.ndim == 4 else "slices"

    def _per_case(self, arrays: dict[str, NDArray[Any]], key: str, count: int) -> NDArray[Any] | None:
        if key not in arrays:
            return None
        if arrays[key].shape != (count,):
            raise DataError(
                f"the array {key!r} has shape {arrays[key].shape}, and `labels` is for {plural(count, 'case')}",
                where=str(self.path),
            )
        return arrays[key]

    def _classes(self, arrays: dict[str, NDArray[Any]], labels: NDArray[Any]) -> tuple[str, ...]:
        if self.classes is not None:
            return tuple(self.classes)
        if "classes" in arrays:
            return tuple(str(name) for name in arrays["classes"])
        highest = int(labels.max()) if labels.size else 0
        return ("background", *(f"class {number}" for number in range(1, highest + 1)))

    def _channels(self, images: NDArray[Any], labels: NDArray[Any], where: str) -> list[str]:
        axis = _channel_axis(images, labels, where)
        return [f"channel {i}" for i in range(1 if axis is None else images.shape[axis])]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_arrays": None}


def _channel_axis(images: NDArray[Any], labels: NDArray[Any], where: str) -> int | None:
    """Axis of the channels in the images, None where there is none."""
    if labels.ndim not in (3, 4):
        raise DataError(
            f"the labels have shape {labels.shape}", where=where, fix="give (N, X, Y, Z), (N, H, W) or layout: one"
        )
    if images.shape == labels.shape:
        return None
    if images.ndim == labels.ndim + 1 and images.shape[:1] + images.shape[2:] == labels.shape:
        return 1
    if images.ndim == labels.ndim + 1 and images.shape[:-1] == labels.shape:
        return images.ndim - 1
    raise DataError(
        f"image and label have different shapes: {images.shape} and {labels.shape}",
        where=where,
        fix="give both one shape; images may have one axis more, for channels",
    )


def _split(split: NDArray[Any] | None, position: int, where: str) -> str:
    if split is None:
        return ""
    value = split[position]
    text = str(value)
    if text in _SPLITS:
        return text
    if text.isdigit() and int(text) < len(_SPLITS):
        return _SPLITS[int(text)]
    raise DataError(f"the split {text!r} is not known", where=where, fix="write 0 or train, 1 or val, 2 or test")
