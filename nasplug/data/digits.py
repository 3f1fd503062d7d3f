"""The handwritten digits that scikit-learn ships: real images with nothing to download."""

from __future__ import annotations

from importlib import metadata

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json
from nasplug.data.arrays import ImageArrays
from nasplug.data.cache import cached
from nasplug.data.source import ImageSource
from nasplug.data.splits import TEST_SEED, stratified_split
from nasplug.optional import available, require

_PURPOSE = "read the digits data"


class Digits(ImageSource):
    """1,797 grey images of handwritten digits, 8 x 8 pixels, 10 classes (UCI optdigits test set, Alpaydin & Kaynak).

    The test part is always the same images, stratified by class, whatever the seed of a study.

    Args:
        test_fraction: Part of the images that is kept for the final test.
    """

    def __init__(self, test_fraction: float = 0.2) -> None:
        self.test_fraction = test_fraction

    def check(self) -> None:
        """See the base class."""
        if not 0.0 < self.test_fraction < 1.0:
            raise DataError(f"test_fraction is {self.test_fraction}, not between 0 and 1", where="Digits")
        if not available("sklearn"):
            require("sklearn", extra="train", purpose=_PURPOSE)

    def load(self) -> ImageArrays:
        """Returns float32 images (N, 8, 8) in 0..1."""
        self.check()
        # Kept in the cache because importing scikit-learn takes seconds, in every worker process anew.
        arguments: dict[str, Json] = {"test_fraction": self.test_fraction, "version": metadata.version("scikit-learn")}
        return cached("Digits", [], arguments, self._read)

    def _read(self) -> ImageArrays:
        datasets = require("sklearn.datasets", extra="train", purpose=_PURPOSE)
        bunch = datasets.load_digits()
        images = (bunch.images / 16.0).astype(np.float32)  # 17 grey levels, 0 to 16
        labels = bunch.target.astype(np.int64)
        train, test = stratified_split(labels, self.test_fraction, np.random.default_rng(TEST_SEED))
        return ImageArrays(
            images[train],
            labels[train],
            x_test=images[test],
            y_test=labels[test],
            classes=tuple(str(digit) for digit in range(10)),
            where="Digits",
        )
