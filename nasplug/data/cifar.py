"""The CIFAR-10 and CIFAR-100 files as their authors publish them and as torchvision unpacks them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.data.arrays import ImageArrays
from nasplug.data.cache import cached
from nasplug.data.pickles import load_arrays
from nasplug.data.source import ImageSource, existing_folder

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where one variant keeps its files. A binary record is `label_bytes` labels, the last one ours, and the pixels."""

    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    names_key: str = ""
    labels_key: str = ""
    label_bytes: int = 0


_LAYOUTS: dict[str, tuple[_Layout, _Layout]] = {
    "cifar10": (
        _Layout(
            "cifar-10-batches-py",
            tuple(f"data_batch_{number}" for number in range(1, 6)),
            "test_batch",
            "batches.meta",
            names_key="label_names",
            labels_key="labels",
        ),
        _Layout(
            "cifar-10-batches-bin",
            tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            "test_batch.bin",
            "batches.meta.txt",
            label_bytes=1,
        ),
    ),
    "cifar100": (
        _Layout("cifar-100-python", ("train",), "test", "meta", names_key="fine_label_names", labels_key="fine_labels"),
        _Layout("cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", label_bytes=2),
    ),
}


class Cifar(ImageSource):
    """Reads CIFAR-10 or CIFAR-100 (Krizhevsky 2009), 32 x 32 pixels in colour, from the official files.

    Both the binary version and the Python version are understood. The Python version is pickled; it is read by an
    unpickler that knows arrays and containers only and runs nothing (see `nasplug.data.pickles`).

    Args:
        path: The unpacked folder, such as `cifar-10-batches-py` or `cifar-10-batches-bin`, or the folder around it.
        variant: "cifar10" with 10 classes or "cifar100" with its 100 fine classes.
    """

    def __init__(self, path: str, variant: Literal["cifar10", "cifar100"] = "cifar10") -> None:
        self.path = path
        self.variant = variant

    @property
    def name(self) -> str:
        """The variant."""
        return self.variant

    def check(self) -> None:
        """See the base class."""
        self._find()

    def load(self) -> ImageArrays:
        """Returns uint8 images (N, 32, 32, 3)."""
        layout, folder = self._find()
        files = [folder / name for name in (*layout.train, layout.test, layout.names)]
        return cached("Cifar", files, {"variant": self.variant}, lambda: self._decode(layout, folder))

    def _find(self) -> tuple[_Layout, Path]:
        if self.variant not in _LAYOUTS:
            raise DataError(f"there is no variant {self.variant!r}", where="Cifar", fix="write cifar10 or cifar100")
        root = existing_folder(self.path, "Cifar")
        for layout in _LAYOUTS[self.variant]:
            for folder in (root / layout.folder, root):
                if not (folder / layout.train[0]).is_file():
                    continue
                for name in (*layout.train, layout.test, layout.names):
                    if not (folder / name).is_file():
                        raise DataError(
                            f"the file {name!r} is missing",
                            where=f"Cifar {str(folder)!r}",
                            fix="unpack the official archive again",
                        )
                return layout, folder
        packed = sorted(item.name for item in root.glob("cifar*.tar.gz"))
        raise DataError(
            f"there are no {self.variant} files",
            where=f"Cifar {str(root)!r}",
            fix=f"unpack {packed[0]}: tar xzf {packed[0]}"
            if packed
            else f"point `path` at the folder {' or '.join(layout.folder for layout in _LAYOUTS[self.variant])}",
        )

    def _decode(self, layout: _Layout, folder: Path) -> ImageArrays:
        read = _read_binary if layout.label_bytes else _read_pickled
        parts = [read(folder / name, layout) for name in layout.train]
        x_test, y_test = read(folder / layout.test, layout)
        return ImageArrays(
            np.concatenate([x for x, _ in parts]),
            np.concatenate([y for _, y in parts]),
            x_test=x_test,
            y_test=y_test,
            classes=_read_names(folder / layout.names, layout),
            where=f"Cifar {folder}",
        )


def _read_pickled(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = load_arrays(path)
    data, labels = batch.get("data"), batch.get(layout.labels_key)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _PIXELS or data.dtype != np.uint8:
        raise DataError(f"the batch holds no uint8 array 'data' with {plural(_PIXELS, 'column')}", where=str(path))
    if (
        not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(type(label) is int and 0 <= label < 256 for label in labels)
    ):
        raise DataError(
            f"the batch holds no list {layout.labels_key!r} of {plural(len(data), 'label')}", where=str(path)
        )
    return _images(data), np.array(labels, np.int64)


def _read_binary(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    raw = np.fromfile(path, np.uint8)
    record = layout.label_bytes + _PIXELS
    if len(raw) == 0 or len(raw) % record:
        raise DataError(
            f"the file has {len(raw)} bytes, not a multiple of {record}",
            where=str(path),
            fix="the file is truncated or damaged; unpack the official archive again",
        )
    rows = raw.reshape(-1, record)
    return _images(rows[:, layout.label_bytes :]), rows[:, layout.label_bytes - 1].astype(np.int64)


def _read_names(path: Path, layout: _Layout) -> tuple[str, ...]:
    if layout.label_bytes:
        return tuple(path.read_text(encoding="utf-8").split())
    names = load_arrays(path).get(layout.names_key)
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise DataError(f"the file holds no list {layout.names_key!r} of class names", where=str(path))
    return tuple(name.decode("utf-8") if isinstance(name, bytes) else name for name in names)


def _images(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 3072) rows of one colour plane after the other, as (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
