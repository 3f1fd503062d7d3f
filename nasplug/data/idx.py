"""The idx files of MNIST and its family (Fashion-MNIST, KMNIST, EMNIST)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.arrays import ImageArrays
from nasplug.data.source import ImageSource, existing_folder

_UNSIGNED_BYTES = 0x08
#: Bytes that one byte of a gzip file can become at most.
_DEFLATE = 1032


class Idx(ImageSource):
    """Reads the four files of a data set in the format of MNIST, plain or gzipped, under their original names.

    `train-images-idx3-ubyte[.gz]`, `train-labels-idx1-ubyte[.gz]`, `t10k-images-idx3-ubyte[.gz]` and
    `t10k-labels-idx1-ubyte[.gz]` (also with a dot before `idx`) are looked for in the folder and in its sub-folder
    `raw`.

    Args:
        path: Folder of the files.
        train: Beginning of the names of the training files; "emnist-digits-train" reads EMNIST.
        test: Beginning of the names of the test files.
        classes: Names of the classes in the order of the labels; None means the numbers.
    """

    def __init__(self, path: str, train: str = "train", test: str = "t10k", classes: list[str] | None = None) -> None:
        self.path = path
        self.train = train
        self.test = test
        self.classes = classes

    def check(self) -> None:
        """See the base class."""
        for part in (self.train, self.test):
            self._find(part, "images")
            self._find(part, "labels")

    def load(self) -> ImageArrays:
        """Returns uint8 images (N, H, W)."""
        return ImageArrays(
            read_idx(self._find(self.train, "images"), 3),
            read_idx(self._find(self.train, "labels"), 1),
            x_test=read_idx(self._find(self.test, "images"), 3),
            y_test=read_idx(self._find(self.test, "labels"), 1),
            classes=tuple(self.classes or ()),
            where=f"Idx {self.path}",
        )

    def _find(self, part: str, content: str) -> Path:
        folder = existing_folder(self.path, "Idx")
        stem = f"{part}-{content}", f"idx{3 if content == 'images' else 1}-ubyte"
        for directory in (folder, folder / "raw"):
            for separator in "-.":
                for suffix in ("", ".gz"):
                    file = directory / (separator.join(stem) + suffix)
                    if file.is_file():
                        return file
        raise DataError(
            f"there is no file {'-'.join(stem)} (or .gz)",
            where=f"Idx {str(folder)!r}",
            fix="point `path` at the folder of the four files, or set `train` and `test` to how their names begin",
        )


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Reads one idx file of unsigned bytes.

    The format (LeCun's MNIST page): two zero bytes, the element type, the number of dimensions, one big-endian 32-bit
    size per dimension, then the elements.

    Args:
        path: The file; gzipped if it ends in `.gz`.
        ndim: Number of dimensions that it must have.

    Raises:
        DataError: The file is damaged, truncated or holds something else.
    """
    offset = 4 + 4 * ndim
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(offset)
            magic, shape = struct.unpack_from(">HBB", head), struct.unpack_from(f">{ndim}I", head, 4)
            if magic != (0, _UNSIGNED_BYTES, ndim):
                raise DataError(
                    f"the file does not start like an idx file of {ndim}-dimensional bytes",
                    where=str(path),
                    why=f"its first bytes are {head[:4].hex(' ')}, not 00 00 08 {ndim:02x}",
                )
            promised = math.prod(shape)
            # Nothing is unpacked beyond what the header promises, and no promise is believed that the file cannot keep.
            most = path.stat().st_size * (_DEFLATE if path.suffix == ".gz" else 1)
            # A bytearray makes the array writable, as torch wants it, so that nothing needs to copy it later.
            raw = bytearray(file.read(min(promised, most) + 1))
    except (OSError, EOFError, zlib.error, struct.error, MemoryError) as error:
        why = str(error) or type(error).__name__
        raise DataError("cannot read the idx file", where=str(path), why=why, fix="fetch it again") from error
    if len(raw) != promised:
        held = "more" if len(raw) > promised else f"only {plural(len(raw), 'element')}"
        raise DataError(
            f"the header promises {plural(promised, 'element')}, the file holds {held}",
            where=str(path),
            fix="the file is truncated or damaged; fetch it again",
        )
    return np.frombuffer(raw, np.uint8).reshape(shape)
