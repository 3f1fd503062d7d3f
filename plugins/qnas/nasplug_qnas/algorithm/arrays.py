"""Array types and argument checks shared by the parts of the algorithm."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]


def check_fraction(name: str, value: float) -> None:
    """Raises unless `value` lies in [0, 1].

    Raises:
        SpecError: If the value lies outside, or is not a number at all.
    """
    if not 0.0 <= value <= 1.0:
        raise SpecError(f"{name} must lie between 0 and 1, got {value!r}", where="Q-NAS")


def check_positive(name: str, value: int) -> None:
    """Raises unless `value` is an integer of at least 1.

    Raises:
        SpecError: If the value is smaller than 1 or not an integer.
    """
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise SpecError(f"{name} must be an integer of at least 1, got {value!r}", where="Q-NAS")


def check_shape(name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    """Raises unless `array` has exactly the given shape.

    Raises:
        ValueError: If the shapes differ; the message names both.
    """
    if array.shape != shape:
        raise ValueError(f"Q-NAS: {name} must have shape {shape}, got {array.shape}.")
