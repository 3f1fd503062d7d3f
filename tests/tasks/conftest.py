from __future__ import annotations

import numpy as np
import pytest
from pytorch_lightning import Trainer

from nasplug.data import ImageArrays, ImageSource


class Stripes(ImageSource):
    """Two classes that are easy to tell apart: horizontal and vertical stripes with noise."""

    def __init__(self, count: int = 120):
        self.count = count
        self.loads = 0

    def load(self) -> ImageArrays:
        self.loads += 1
        rng = np.random.default_rng(0)
        y = np.arange(self.count) % 2
        x = rng.normal(0, 0.3, (self.count, 8, 8))
        x[y == 0, ::2] += 1
        x[y == 1, :, ::2] += 1
        return ImageArrays(x, y, classes=("rows", "columns"))


@pytest.fixture
def stripes() -> Stripes:
    return Stripes()


@pytest.fixture
def make_trainer():
    def make(**arguments) -> Trainer:
        return Trainer(
            **{
                "accelerator": "cpu",
                "logger": False,
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                **arguments,
            }
        )

    return make
