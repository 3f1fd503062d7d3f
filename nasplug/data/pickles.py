"""Reading the one kind of pickle that an official data set forces on us, without running what it says.

A pickle is a program. The CIFAR batches need a small part of the language: containers, numbers, strings, and numpy
arrays. Everything a pickle may name is replaced here by a class of this module that only records and checks; no other
name is ever looked up, so nothing is imported and nothing of numpy or Python is called with the file's arguments.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nasplug.contract.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Dtype:
    """Stands for `numpy.dtype`; knows plain numbers only."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if text not in {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f4", "f8"}:
            raise pickle.UnpicklingError(f"an array of type {text!r}")
        self.code = str(text)
        self.order = "|"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)
        if self.order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"an array of byte order {self.order!r}")


class _Array:
    """Stands for `numpy.ndarray`; builds the array from the raw bytes in its state."""

    value: NDArray[np.generic] | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("an array of objects")
        flat = np.frombuffer(raw, dtype=np.dtype(dtype.order + dtype.code))
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _Array:
    """Stands for numpy's array factory; the shape and type come with the state."""
    return _Array()


def _encode(text: str, codec: str = "latin1") -> bytes:
    """Stands for `_codecs.encode`, as which protocol 2 writes the bytes of Python 3."""
    return text.encode("latin-1")


class _ArrayUnpickler(pickle.Unpickler):
    allowed: ClassVar[dict[tuple[str, str], object]] = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> object:
        """Looks in the allow-list only, and never imports."""
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None


def load_arrays(path: Path) -> dict[str, object]:
    """Reads a pickled dictionary of numbers, strings, lists and numeric arrays.

    Args:
        path: The file.

    Returns:
        The dictionary; keys are text, and Python 2 strings inside the values are bytes.

    Raises:
        DataError: The file is damaged, or a pickle that would do more than that.
    """
    try:
        with path.open("rb") as file:
            value = _ArrayUnpickler(file, encoding="bytes").load()
        if not isinstance(value, dict):
            raise pickle.UnpicklingError(f"it holds a {type(value).__name__}, not a dictionary")
        return {_text(key): item.value if isinstance(item, _Array) else item for key, item in value.items()}
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(
            "the file is not a pickle of plain arrays",
            where=str(path),
            why=str(error) or type(error).__name__,
            fix="it is damaged or not the original file; fetch it again from its official source",
        ) from error


def _text(key: object) -> str:
    return key.decode("utf-8") if isinstance(key, bytes) else str(key)
