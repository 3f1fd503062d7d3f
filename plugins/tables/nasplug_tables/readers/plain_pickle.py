"""Reading pickles that hold plain data, without running what they say.

A pickle is a program that may call any function it names. Here a name is looked up in a fixed list and nowhere else:
nothing is imported, and all that a file can make are numbers, texts and containers. Arrays and the weights of networks
become `Skipped`; no table needs them.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

import numpy as np

from nasplug.contract.errors import DataError

_NUMBERS = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}


class Skipped:
    """Stands for whatever is not read; takes any state a pickle gives it and keeps none."""

    def __setstate__(self, state: Any) -> None:
        """Forgets the state."""


class _Dtype:
    """Stands for `numpy.dtype` and knows plain numbers only."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if code not in _NUMBERS:
            raise pickle.UnpicklingError(f"it holds numbers of type {code!r}")
        self.code, self.order = str(code), "|"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]
        if self.order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"it holds numbers in the byte order {self.order!r}")


def _scalar(dtype: Any, raw: Any) -> int | float | bool:
    """Stands for numpy's factory of scalars; gives Python's own number."""
    if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("it holds a scalar that is not a number")
    found: int | float | bool = np.frombuffer(raw, dtype=np.dtype(dtype.order + dtype.code), count=1)[0].item()
    return found


def _encode(text: str, codec: str = "latin1") -> bytes:
    """Stands for `_codecs.encode`, by which protocol 2 writes bytes."""
    return text.encode("latin-1")


def _skip(*_: Any) -> Skipped:
    return Skipped()


def _names(modules: tuple[str, ...], name: str, stand_in: Any) -> dict[tuple[str, str], Any]:
    return {(module, name): stand_in for module in modules}


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


class _PlainUnpickler(pickle.Unpickler):
    allowed: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        ("collections", "OrderedDict"): OrderedDict,
        **_names(("builtins", "__builtin__"), "set", set),
        **_names(("builtins", "__builtin__"), "frozenset", frozenset),
        **_names(_MULTIARRAY, "scalar", _scalar),
        **_names(_MULTIARRAY, "_reconstruct", _skip),
        ("numpy", "ndarray"): Skipped,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
        ("torch._utils", "_rebuild_tensor_v2"): _skip,
        ("torch._utils", "_rebuild_parameter"): _skip,
        ("torch.storage", "_load_from_bytes"): _skip,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Looks in the list only, and never imports."""
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which plain data do not need") from None


def load_plain(file: IO[bytes], where: str, expected: str) -> dict[Any, Any]:
    """Reads one pickled dictionary of numbers, texts and containers.

    Args:
        file: The pickle, uncompressed.
        where: Name of the file, for messages.
        expected: Description of what the file should be, for messages.

    Raises:
        DataError: It is damaged, no dictionary, or would do more than make plain data.
    """
    try:
        value = _PlainUnpickler(file).load()
        if not isinstance(value, dict):
            raise pickle.UnpicklingError(f"it holds a {type(value).__name__}, not a dictionary")
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(
            f"the file is not {expected}",
            where=where,
            why=str(error) or type(error).__name__,
            fix="it is damaged or not the original file; fetch it again from its official source",
        ) from error
    return value
