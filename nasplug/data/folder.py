"""A folder of image files, one sub-folder per class."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.data.arrays import ImageArrays
from nasplug.data.cache import cached
from nasplug.data.images import SUFFIXES, Fit, decode_image
from nasplug.data.layout import Layout
from nasplug.data.source import ImageSource, existing_folder

#: Names of the folder of each split, in small letters.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
#: Files that systems leave in folders.
_SYSTEM = frozenset({"Thumbs.db", "desktop.ini"})
_SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "System Volume Information"})


class ImageFolder(ImageSource):
    """Reads `path/CLASS/*.png`, or `path/train/CLASS/*.png` with `val` and `test` beside `train` where they exist.

    Classes are the sub-folders in alphabetical order. Size and channels are those of the files unless they are given.
    Files of 16- and 32-bit integers and of floats are scaled by the range of the training files, the same for all
    splits; files of levels from 0 to 255 by 255. Decoded images are kept in the cache, so the second load is fast.

    Args:
        path: Folder of the data.
        size: Height and width of every image in pixels; one number means both. None takes the size of the files, or
            the median height and width where they differ.
        channels: 3 for colour, 1 for grey; None means grey where all files are grey.
        fit: Way of resizing: "crop" resizes the shorter side and cuts the longer one off in the middle; "stretch"
            changes the aspect ratio and loses nothing.
        background: Grey level behind transparent pixels, from 0 (black) to 255 (white).
        span: Pixel values that become 0 and 1, for files of integers and floats; None measures them.
    """

    def __init__(
        self,
        path: str,
        size: int | tuple[int, int] | None = None,
        channels: Literal[1, 3] | None = None,
        fit: Fit = "crop",
        background: int = 255,
        span: tuple[float, float] | None = None,
    ) -> None:
        self.path = path
        self.size = size
        self.channels = channels
        self.fit = fit
        self.background = background
        self.span = span

    @property
    def name(self) -> str:
        """Name of the folder."""
        return Path(self.path).name or "imagefolder"

    def check(self) -> None:
        """See the base class."""
        root = existing_folder(self.path, "ImageFolder")
        height, width = self._size() or (1, 1)
        if height < 1 or width < 1:
            raise DataError(f"size is {self.size}, not a positive number of pixels", where="ImageFolder")
        if self.channels not in (None, 1, 3):
            raise DataError(f"channels is {self.channels}, neither 1 nor 3", where="ImageFolder")
        if self.fit not in ("crop", "stretch"):
            raise DataError(f"fit is {self.fit!r}, neither 'crop' nor 'stretch'", where="ImageFolder")
        if not 0 <= self.background <= 255:
            raise DataError(f"background is {self.background}, not between 0 and 255", where="ImageFolder")
        if self.span is not None and not self.span[0] < self.span[1]:
            raise DataError(f"span is {list(self.span)}, not two rising numbers", where="ImageFolder")
        _class_names(_split_folders(root)["train"])

    def load(self) -> ImageArrays:
        """Returns images (N, H, W), or (N, H, W, 3) in colour: uint8, or float32 where files hold other numbers."""
        self.check()
        root = existing_folder(self.path, "ImageFolder")
        folders = _split_folders(root)
        classes = _class_names(folders["train"])
        files = {split: _labelled_files(folder, classes) for split, folder in folders.items()}
        every = [file for labelled in files.values() for file, _ in labelled]
        others = _remarks(root, folders)
        # Which file belongs to which split and class is in its path, so the paths are all the key needs.
        arguments = {
            "size": self._size(),
            "channels": self.channels,
            "fit": self.fit,
            "background": self.background,
            "span": self.span,
            "classes": classes,
        }
        arrays = cached("ImageFolder", every, arguments, lambda: self._decode(files, classes))
        return dataclasses.replace(arrays, remark="; ".join(part for part in (arrays.remark, others) if part))

    def _size(self) -> tuple[int, int] | None:
        if self.size is None:
            return None
        if isinstance(self.size, int):
            return self.size, self.size
        pair = self.size
        if (
            isinstance(pair, (str, bytes))
            or not isinstance(pair, Sequence)
            or [type(item) for item in pair] != [int] * 2
        ):
            raise DataError(
                f"size is {self.size!r}", where="ImageFolder", fix="give pixels, size: 64, or [height, width]"
            )
        return pair[0], pair[1]

    def _decode(self, files: dict[str, list[tuple[Path, int]]], classes: tuple[str, ...]) -> ImageArrays:
        arrays: dict[str, Any] = {}
        paths = {split: [path for path, _ in labelled] for split, labelled in files.items()}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # Pillow decodes outside Python's lock
            layout = Layout.of(
                paths,
                pool.map,
                size=self._size(),
                channels=self.channels,
                fit=self.fit,
                background=self.background,
                span=self.span,
            )
            way = layout.preprocessing
            span = way.span if way.pixels == "float32" else None

            def decode(path: Path) -> NDArray[np.generic]:
                return decode_image(
                    path,
                    str(path),
                    channels=way.channels,
                    size=way.size,
                    fit=way.fit,
                    background=way.background,
                    span=span,
                )

            for split, labelled in files.items():
                images = np.empty((len(labelled), *way.size, *((3,) if way.channels == 3 else ())), way.pixels)
                for position, image in enumerate(pool.map(decode, paths[split])):
                    images[position] = image
                layout.check_visible(split, images)
                arrays[f"x_{split}"] = images
                arrays[f"y_{split}"] = np.array([label for _, label in labelled], np.int64)
        return ImageArrays(
            **arrays,
            classes=classes,
            where=f"ImageFolder {self.path}",
            preprocessing=way,
            remark=layout.remark,
        )


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that is there, by its name in any case; the root itself if there are none."""
    folders = _folders(root)
    found: dict[str, Path] = {}
    for split, names in _SPLIT_NAMES.items():
        for folder in folders:
            if folder.name.lower() in names:
                if split in found:
                    raise DataError(
                        f"the folders {found[split].name!r} and {folder.name!r} both name the {split} split",
                        where=f"ImageFolder {str(root)!r}",
                        fix="keep one of them",
                    )
                found[split] = folder
    if not found:
        return {"train": root}
    if "train" not in found:
        raise DataError(
            f"there is a folder {next(iter(found.values())).name!r} but no folder 'train'",
            where=f"ImageFolder {str(root)!r}",
            fix=did_you_mean("train", [folder.name for folder in folders]),
        )
    return found


def _folders(root: Path) -> list[Path]:
    """The folders in a folder that people made, by name."""
    return sorted(
        item
        for item in root.iterdir()
        if item.is_dir() and not item.name.startswith(".") and item.name not in _SYSTEM_FOLDERS
    )


def _remarks(root: Path, folders: dict[str, Path]) -> str:
    """What is said of folders that may not mean what they are taken for, and of files that are not read."""
    said = []
    if folders["train"] != root:
        others = [item.name for item in _folders(root) if item not in folders.values()]
        if others:
            said.append(f"folders beside the splits are left out: {', '.join(others[:4])}")
    inside = [(item, {part.name for part in _folders(item)}) for item in _folders(folders["train"])]
    alike = inside[0][1]
    if len(alike) > 1 and all(names == alike for _, names in inside):
        classes = ", ".join(item.name for item, _ in inside[:4])
        said.append(f"each of the classes {classes} has the folders {', '.join(sorted(alike)[:4])}, taken together")
    return "; ".join([*said, *filter(None, [_left_out(folders)])])


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(item.name for item in _folders(folder))
    if len(names) < 2:
        raise DataError(
            f"expected at least 2 class folders, found {len(names)}",
            where=f"ImageFolder {str(folder)!r}",
            fix="put the images of each class into a sub-folder with the name of the class",
        )
    return names


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _left_out(folders: dict[str, Path]) -> str:
    """What is said of files in class folders that are not read, such as images of a format that is not known."""
    kinds = Counter(
        file.suffix.lower() or "without a suffix"
        for folder in folders.values()
        for name in _folders(folder)
        for file in name.rglob("*")
        if file.is_file() and not _is_image(file) and not file.name.startswith(".") and file.name not in _SYSTEM
    )
    counted = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(4))
    return f"{plural(kinds.total(), 'file')} of other formats left out: {counted}" if kinds else ""


def _labelled_files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Every image of a split with its label, in a fixed order."""
    strange = set(_class_names(folder)) - set(classes)
    if strange:
        raise DataError(f"the class {min(strange)!r} has no training images", where=f"ImageFolder {str(folder)!r}")
    labelled: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        inside = (folder / name).rglob("*") if (folder / name).is_dir() else ()
        files = sorted(filter(_is_image, inside))
        if not files and folder.joinpath(name).is_dir():
            raise DataError(
                f"the class folder {name!r} holds no images",
                where=f"ImageFolder {str(folder)!r}",
                fix=f"remove the folder, or put images of a known format there ({', '.join(sorted(SUFFIXES))})",
            )
        labelled += [(file, label) for file in files]
    return labelled
