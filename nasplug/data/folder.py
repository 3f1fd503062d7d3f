"""A folder of image files, one sub-folder per class."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.data.arrays import ImageArrays
from nasplug.data.cache import cached
from nasplug.data.images import SUFFIXES, Fit, decode_image
from nasplug.data.source import ImageSource, existing_folder

_SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


class ImageFolder(ImageSource):
    """Reads `path/CLASS/*.png`, or `path/train/CLASS/*.png` with `val` and `test` beside `train` where they exist.

    Classes are the sub-folders in alphabetical order. Images of any usual format are decoded, resized to one size and
    kept in the cache, so the second load is fast.

    Args:
        path: Folder of the data.
        size: Height and width of every image in pixels; one number means both.
        channels: 3 for colour, 1 for grey.
        fit: "crop" resizes the shorter side and cuts the longer one off in the middle; "stretch" changes the aspect
            ratio and loses nothing.
    """

    def __init__(
        self, path: str, size: int | tuple[int, int] = 32, channels: Literal[1, 3] = 3, fit: Fit = "crop"
    ) -> None:
        self.path = path
        self.size = size
        self.channels = channels
        self.fit = fit

    @property
    def name(self) -> str:
        """Name of the folder."""
        return Path(self.path).name or "imagefolder"

    def check(self) -> None:
        """See the base class."""
        root = existing_folder(self.path, "ImageFolder")
        height, width = self._size()
        if height < 1 or width < 1:
            raise DataError(f"size is {self.size}, not a positive number of pixels", where="ImageFolder")
        if self.channels not in (1, 3):
            raise DataError(f"channels is {self.channels}, neither 1 nor 3", where="ImageFolder")
        if self.fit not in ("crop", "stretch"):
            raise DataError(f"fit is {self.fit!r}, neither 'crop' nor 'stretch'", where="ImageFolder")
        _class_names(_split_folders(root)["train"])

    def load(self) -> ImageArrays:
        """Returns uint8 images (N, H, W), or (N, H, W, 3) in colour."""
        self.check()
        folders = _split_folders(existing_folder(self.path, "ImageFolder"))
        classes = _class_names(folders["train"])
        files = {split: _labelled_files(folder, classes) for split, folder in folders.items()}
        every = [file for labelled in files.values() for file, _ in labelled]
        # Which file belongs to which split and class is in its path, so the paths are all the key needs.
        arguments = {"size": self._size(), "channels": self.channels, "fit": self.fit, "classes": classes}
        return cached("ImageFolder", every, arguments, lambda: self._decode(files, classes))

    def _size(self) -> tuple[int, int]:
        if isinstance(self.size, int):
            return self.size, self.size
        height, width = self.size
        return height, width

    def _decode(self, files: dict[str, list[tuple[Path, int]]], classes: tuple[str, ...]) -> ImageArrays:
        size = self._size()

        def decode(item: tuple[Path, int]) -> NDArray[np.uint8]:
            return decode_image(item[0], str(item[0]), channels=self.channels, size=size, fit=self.fit)

        arrays: dict[str, NDArray[np.generic]] = {}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # Pillow decodes outside Python's lock
            for split, labelled in files.items():
                images = np.empty((len(labelled), *size, *((3,) if self.channels == 3 else ())), np.uint8)
                for position, image in enumerate(pool.map(decode, labelled)):
                    images[position] = image
                arrays[f"x_{split}"] = images
                arrays[f"y_{split}"] = np.array([label for _, label in labelled], np.int64)
        return ImageArrays(**arrays, classes=classes, where=f"ImageFolder {self.path}")


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that is there; the root itself is the training split if there are no splits."""
    found = {
        split: root / name
        for split, names in _SPLIT_NAMES.items()
        for name in reversed(names)
        if (root / name).is_dir()
    }
    if not found:
        return {"train": root}
    if "train" not in found:
        raise DataError(
            f"there is a folder {next(iter(found.values())).name!r} but no folder 'train'",
            where=f"ImageFolder {str(root)!r}",
        )
    return found


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")))
    if len(names) < 2:
        raise DataError(
            f"there are {len(names)} class folders, at least 2 are needed",
            where=f"ImageFolder {str(folder)!r}",
            fix="put the images of each class into a sub-folder with the name of the class",
        )
    return names


def _labelled_files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Every image of a split with its label, in a fixed order."""
    strange = set(_class_names(folder)) - set(classes)
    if strange:
        raise DataError(f"the class {min(strange)!r} has no training images", where=f"ImageFolder {str(folder)!r}")
    labelled: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        inside = (folder / name).rglob("*") if (folder / name).is_dir() else ()
        files = sorted(item for item in inside if item.suffix.lower() in SUFFIXES and not item.name.startswith("."))
        if not files and folder.joinpath(name).is_dir():
            raise DataError(
                f"the class folder {name!r} holds no images",
                where=f"ImageFolder {str(folder)!r}",
                fix=f"remove the folder, or put images of a known format there ({', '.join(sorted(SUFFIXES))})",
            )
        labelled += [(file, label) for file in files]
    return labelled
