"""Tests of `nasplug.export.resize`: the levels that the reading of image files gives, bit by bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nasplug.data.images import decode_image
from nasplug.export.resize import Resize


def decoded(image, size, fit, channels, span=None):
    file = io.BytesIO()
    image.save(file, format="png" if span is None else "tiff")
    file.seek(0)
    return decode_image(file, "it", channels=channels, size=size, fit=fit, span=span)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_are_those_of_reading(fit, channels):
    rng = np.random.default_rng(channels)
    for _ in range(40):
        height, width = map(int, rng.integers(1, 120, 2))
        size = tuple(map(int, rng.integers(1, 60, 2)))
        pixels = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        expected = decoded(image, size, fit, channels).reshape(*size, channels).transpose(2, 0, 1)
        found = Resize(size, fit, levels=True)(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))
        assert torch.equal(found[0], torch.from_numpy(expected.astype(np.float32))), (height, width, size)


def test_numbers_are_not_rounded():
    numbers = np.random.default_rng(0).random((31, 17)).astype(np.float32)
    expected = decoded(Image.fromarray(numbers), (8, 9), "crop", 1, span=(0.0, 1.0))
    found = Resize((8, 9), "crop", levels=False)(torch.from_numpy(numbers[None, None]))
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)


def test_a_crop_keeps_the_middle():
    wide = torch.arange(12, dtype=torch.uint8).view(1, 1, 2, 6)
    assert Resize((2, 2), "crop", levels=True)(wide).tolist() == [[[[2.0, 3.0], [8.0, 9.0]]]]
