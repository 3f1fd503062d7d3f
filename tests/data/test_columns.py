"""Columns of numbers from arrays: rows and images as they are, anything else refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasplug.contract.errors import DataError
from nasplug.data.columns import inputs

FILE = Path("some.npz")


@pytest.mark.parametrize(
    ("shape", "made"), [((5, 3), (5, 3)), ((5, 4, 6), (5, 1, 4, 6)), ((5, 4, 6, 3), (5, 3, 4, 6)), ((0, 3), (0, 3))]
)
@pytest.mark.parametrize("kind", ["f8", "i2", "u1", "?"])
def test_rows_and_images_have_the_channels_first(shape, made, kind):
    x = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    found = inputs(x, FILE)
    assert found.shape == made
    assert found.dtype == np.float32
    assert sorted(found.ravel().tolist()) == sorted(x.astype(np.float32).ravel().tolist())


@pytest.mark.parametrize(
    "x", [np.zeros(5), np.zeros((1, 1, 1, 1, 1)), np.array(3.0), np.array([["a"]]), np.zeros((2, 2), "c8")]
)
def test_anything_else_is_refused(x):
    with pytest.raises(DataError, match="the inputs are") as caught:
        inputs(x, FILE)
    assert "some.npz" in str(caught.value)
