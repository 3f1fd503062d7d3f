"""Flat images with masks: two folders of image files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.data.source import existing_folder
from nasplug.data.volumes.case import Case, CaseList, Volume, affine_of
from nasplug.data.volumes.decathlon import patient_of
from nasplug.data.volumes.nifti import classes_of
from nasplug.data.volumes.source import VolumeSource, check_classes, listed
from nasplug.optional import require

#: Names of the channels of grey and of coloured pictures.
CHANNELS = (("grey",), ("red", "green", "blue"))
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


class MaskFolder(VolumeSource):
    """Reads flat images and their masks: `images/NAME.png` and `masks/NAME.png`.

    Folders `train`, `val` and `test` above the two are understood. A mask is grey or has a palette; its values are the
    classes. A suffix of masks, such as `_mask`, is given in `suffix`.

    Args:
        path: Folder that holds `images` and `masks`, or `train` and others that do.
        classes: Value of each class in the masks, by its name; the first is the background.
        images: Name of the folder of images.
        masks: Name of the folder of masks.
        suffix: End of a mask's name, which the image's name lacks.
        grey: Whether images are read with one channel; None takes one where the first image is grey, and three
            otherwise.
        patient: Regular expression whose first group, searched in the name of an image, names its patient; None takes
            every image for a patient.

    Raises:
        DataError: There are fewer than two classes, or two of one value.
    """

    def __init__(
        self,
        path: str,
        classes: Mapping[str, int],
        images: str = "images",
        masks: str = "masks",
        suffix: str = "",
        grey: bool | None = None,
        patient: str | None = None,
    ) -> None:
        self.path, self.classes = path, dict(classes)
        self.images, self.masks, self.suffix = images, masks, suffix
        self.grey, self.patient = grey, patient
        check_classes(self.classes, "MaskFolder", "{background: 0, nucleus: 255}")

    @property
    def name(self) -> str:
        """Name of the folder."""
        return Path(self.path).name

    def load(self) -> CaseList:
        """See the base class."""
        folder = existing_folder(self.path, "MaskFolder")
        parts = [name for name in ("train", "val", "test") if (folder / name / self.images).is_dir()]
        cases = [case for part in parts or [""] for case in self._part(folder / part, part)]
        found = listed(cases, str(folder), f"put image files into {self.images!r} and masks into {self.masks!r}")
        grey = self.grey
        if grey is None:
            grey = _opened(found[0].images[0]).ndim == 2
        ordered = dict(sorted(self.classes.items(), key=lambda item: item[1]))
        files = tuple(path for case in found for path in (*case.images, case.label) if path is not None)
        channels = CHANNELS[0] if grey else CHANNELS[1]
        return CaseList(found, tuple(ordered), channels, str(folder), tuple(ordered.values()), files)

    def read(self, case: Case, cases: CaseList) -> Volume:
        """See the base class."""
        assert case.label is not None
        image = read_channels(case.images[0], len(cases.channels))
        mask = _opened(case.label, indices=True)
        if mask.shape != image.shape[1:3]:
            raise DataError(
                f"image and label have different shapes: {image.shape[1:3]} and {mask.shape}",
                where=f"{case.images[0]} and {case.label}",
                fix="resize the mask by the nearest neighbour",
            )
        return Volume(image, classes_of(mask[..., None], cases.values, str(case.label)), affine_of((1, 1, 1)))

    def _part(self, folder: Path, split: str) -> list[Case]:
        images, masks = existing_folder(folder / self.images, "MaskFolder"), folder / self.masks
        found: list[Case] = []
        for path in sorted(path for path in images.iterdir() if path.suffix.lower() in ENDINGS):
            fitting = [masks / f"{path.stem}{self.suffix}{ending}" for ending in ENDINGS]
            mask = next((each for each in fitting if each.is_file()), None)
            if mask is None:
                raise DataError(
                    f"the image {path.name!r} has no label",
                    where=str(masks),
                    fix=f"add {fitting[0].name}, or say in `suffix` how the names of masks end",
                )
            name = f"{split}/{path.stem}" if split else path.stem
            found.append(Case(name, patient_of(path.stem, self.patient), (path,), mask, split))
        return found


def read_channels(path: Path, channels: int) -> NDArray[np.float32]:
    """Reads the pixels of a picture.

    Args:
        path: Path of the file.
        channels: 1 for grey values, 3 for colours; what the file holds is brought to that.

    Returns:
        Intensities (C, H, W, 1).

    Raises:
        DataError: The file cannot be read.
    """
    pixels = _opened(path)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] == 2:  # grey and alpha
        pixels = pixels[..., :1]
    if channels == 1:
        pixels = pixels[..., :3].mean(-1, keepdims=True)
    elif pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, -1)
    return np.moveaxis(pixels[..., :3].astype(np.float32), -1, 0)[..., None]


def write_mask(mask: NDArray[np.int32], path: Path) -> None:
    """Writes a mask as a grey picture.

    Args:
        mask: Value of each pixel (H, W).
        path: File to write.
    """
    image_module = require("PIL.Image", extra="train", purpose="write image files")
    image_module.fromarray(mask.astype(np.uint8 if mask.max() <= 255 else np.uint16)).save(path)


def _opened(path: Path, indices: bool = False) -> NDArray[np.generic]:
    """Pixels (H, W) or (H, W, C); of a mask (H, W), where a palette keeps its indices."""
    image_module = require("PIL.Image", extra="train", purpose="read image files")
    try:
        with image_module.open(path) as opened:
            if opened.mode == "P" and not indices:
                opened = opened.convert("RGB")
            pixels = np.asarray(opened)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError("cannot read the image file", where=str(path), why=str(error), fix="fetch it again") from error
    if indices and pixels.ndim == 3:
        if (pixels[..., :3] != pixels[..., :1]).any():
            raise DataError(
                "the mask is coloured", where=str(path), fix="write class numbers as a grey or palette image"
            )
        pixels = pixels[..., 0]
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels
