"""One .npz file that holds everything."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.data.archives import arrays_in
from nasplug.data.arrays import SPLITS, ImageArrays
from nasplug.data.cache import cached
from nasplug.data.images import decode_image
from nasplug.data.source import ImageSource, existing_file

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile


class Npz(ImageSource):
    """Reads images and labels out of an .npz file (`numpy.savez`), without pickle.

    The file holds `x_train`, `y_train` and, where there are such splits, `x_val`, `y_val`, `x_test`, `y_test`; names of
    the classes may stand in `classes`. Other keys are reached by naming them: MedMNIST files are read with
    `images="{split}_images", labels="{split}_labels"`.

    A compact layout for JPEG images is understood too: `header` is the beginning that all the JPEG files share,
    `payload_<split>` the concatenation of what follows it in each file, and image i is
    `header + payload[offsets_<split>[i]:offsets_<split>[i + 1]]`. Decoded images are kept in the cache.

    Args:
        path: The file.
        images: Key of a split's images; `{split}` stands for train, val and test.
        labels: Key of a split's labels.
        classes: Key of the class names; a file without it has numbered classes.
    """

    def __init__(
        self, path: str, images: str = "x_{split}", labels: str = "y_{split}", classes: str = "classes"
    ) -> None:
        self.path = path
        self.images = images
        self.labels = labels
        self.classes = classes

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return Path(self.path).stem

    def check(self) -> None:
        """See the base class."""
        existing_file(self.path, "Npz")

    def load(self) -> ImageArrays:
        """Returns the arrays as they are in the file; labels of shape (N, 1) become (N,)."""
        path = existing_file(self.path, "Npz")
        fix = "make it with numpy.savez_compressed and plain numeric arrays; fetch it again if it is truncated"
        with arrays_in(path, fix=fix) as file:
            if "header" in file.files and "payload_train" in file.files:
                arguments = {"labels": self.labels, "classes": self.classes}
                return cached("Npz", [path], arguments, lambda: self._decode(file, path))
            return self._arrays(file, path)

    def _arrays(self, file: NpzFile, path: Path) -> ImageArrays:
        arrays: dict[str, Any] = {}
        for split in SPLITS:
            if self.images.format(split=split) in file.files or split == "train":
                arrays[f"x_{split}"] = _member(file, self.images.format(split=split), path)
                arrays[f"y_{split}"] = _labels(_member(file, self.labels.format(split=split), path))
        return ImageArrays(**arrays, classes=self._class_names(file), where=str(path))

    def _decode(self, file: NpzFile, path: Path) -> ImageArrays:
        header = _member(file, "header", path).tobytes()
        arrays: dict[str, Any] = {}
        for split in SPLITS:
            if f"payload_{split}" in file.files:
                offsets = _member(file, f"offsets_{split}", path)
                payload = _member(file, f"payload_{split}", path).tobytes()
                arrays[f"x_{split}"] = _decode_payload(header, payload, offsets, f"{path}, {split}")
                arrays[f"y_{split}"] = _labels(_member(file, self.labels.format(split=split), path))
        return ImageArrays(**arrays, classes=self._class_names(file), where=str(path))

    def _class_names(self, file: NpzFile) -> tuple[str, ...]:
        if self.classes not in file.files:
            return ()
        return tuple(str(name) for name in np.atleast_1d(file[self.classes]))


def _member(file: NpzFile, key: str, path: Path) -> NDArray[np.generic]:
    if key not in file.files:
        raise DataError(
            f"there is no array {key!r}",
            where=str(path),
            why=did_you_mean(key, file.files),
            fix="name the keys with `images` and `labels`, as in images: '{split}_images'",
        )
    array: NDArray[np.generic] = file[key]  # every access decompresses again: read once
    return array


def _labels(y: NDArray[np.generic]) -> NDArray[np.generic]:
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _decode_payload(header: bytes, payload: bytes, offsets: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    """Decodes every image of one split.

    Returns:
        uint8 array (N, H, W, 3).
    """
    whole = offsets.ndim == 1 and len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == len(payload)
    if not whole or (np.diff(offsets) <= 0).any():
        raise DataError("the offsets do not divide the payload", where=where, why="the file is damaged")
    images: NDArray[np.uint8] | None = None
    bounds = offsets.tolist()
    for position, (start, stop) in enumerate(itertools.pairwise(bounds)):
        image = decode_image(io.BytesIO(header + payload[start:stop]), f"{where} image {position}", channels=3)
        if images is None:
            images = np.empty((len(bounds) - 1, *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise DataError(f"image {position} is {image.shape}, the first {images.shape[1:]}", where=where)
        images[position] = image
    assert images is not None  # there is at least one pair of offsets
    return images
