"""Data, networks and trainings of the benchmarks on sequences of classes: small, and the same for all of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import nasplug as nas
from nasplug.data.arrays import ImageArrays
from nasplug.data.npz import Npz
from nasplug.data.source import ImageSource

DATA = (
    "CIFAR-10 (JPEG): a part of the training images; figures are on test images, by which nothing is chosen but, "
    "once and with a seed that is not recorded, norms of PST"
)


@cache
def _whole(path: str) -> ImageArrays:
    return Npz(path).load()


@dataclass
class Part(ImageSource):
    """The first images of a file: those for training, and test images in place of validation images.

    Attributes:
        path: The file.
        train: Number of training images.
        test: Number of test images; None means that validation images are held out of the training images instead.
        halved: Whether images have half the height and width, every pixel the mean of four.
    """

    path: str
    train: int
    test: int | None
    halved: bool = False

    def load(self) -> ImageArrays:
        """Reads the images."""
        whole = _whole(self.path)
        x, y = self._sized(whole.x_train[: self.train]), whole.y_train[: self.train]
        if self.test is None:
            return ImageArrays(x, y, classes=whole.classes, where=self.path)
        assert whole.x_test is not None
        assert whole.y_test is not None
        x_test = self._sized(whole.x_test[: self.test])
        return ImageArrays(x, y, x_test, whole.y_test[: self.test], classes=whole.classes)

    def _sized(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if not self.halved:
            return images
        count, height, width, channels = images.shape
        fours = images.reshape(count, height // 2, 2, width // 2, 2, channels)
        return fours.mean((2, 4)).round().astype(images.dtype)


def task(
    data: Path, train: int, test: int | None, lr: float = 0.05, *, halved: bool = False
) -> nas.ImageClassification:
    """Images with shifts and mirroring, SGD with momentum and a cosine for every phase."""
    training = nas.Training(optimizer="sgd", lr=lr, momentum=0.9, weight_decay=5e-4, schedule="cosine")
    split = {} if test is not None else {"split": nas.data.Split(val_fraction=0.2, test_fraction=0.0)}
    return nas.ImageClassification(
        Part(str(data), train, test, halved), batch_size=64, augment="crop_flip", training=training, **split
    )


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result in a file, made if it is not there, so that an interrupted benchmark goes on."""
    if not path.is_file():
        result = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(result))
        partial.rename(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def mean_sd(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation over seeds."""
    return {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def ranks(values: Sequence[float]) -> np.ndarray[Any, Any]:
    """Ranks from 0, ties shared."""
    array = np.asarray(values, float)
    return np.array([(array < v).sum() + ((array == v).sum() - 1) / 2 for v in array])


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation; NaN if one of both is constant."""
    a, b = ranks(first), ranks(second)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
