"""What a regressor on embeddings is: it learns one number from vectors, and says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

#: Vectors may be float32, values and beliefs are float64.
Vectors = NDArray[np.float32] | NDArray[np.float64]
Floats = NDArray[np.float64]
RegressorName = Literal["forest", "gp", "dngo"]
#: Arrays by name: what a training found, for a safetensors file.
State = Mapping[str, NDArray[Any]]
#: Vectors that are predicted at once.
CHUNK = 32_768


class Belief(NamedTuple):
    """Mean and standard deviation, float64 (N,) each."""

    mean: Floats
    deviation: Floats


class Regressor(Protocol):
    """Learns one number from vectors."""

    def fit(self, x: Vectors, y: Floats) -> Regressor:
        """Learns from vectors (n, d) with values (n,), n >= 1, and returns itself."""

    def predict(self, x: Vectors) -> Belief:
        """Believes something of vectors (N, d)."""

    def state(self) -> State:
        """Returns what `fit` found and cannot be computed from the data without training."""

    def restore(self, state: State, x: Vectors, y: Floats) -> Regressor:
        """Becomes the regressor that gave this state after `fit(x, y)`, without training, and returns itself."""


class Scale:
    """Brings columns to mean 0 and standard deviation 1; constant ones to 0.

    Args:
        values: Columns to measure, (n, d) or (n,).
    """

    def __init__(self, values: Vectors) -> None:
        self.mean = values.mean(axis=0)
        deviation = np.asarray(values.std(axis=0))
        self.deviation = np.where(deviation > 1e-12, deviation, 1.0)

    def __call__(self, values: Vectors) -> Floats:
        """Returns scaled values of the same shape."""
        scaled: Floats = (np.asarray(values, dtype=np.float64) - self.mean) / self.deviation
        return scaled
