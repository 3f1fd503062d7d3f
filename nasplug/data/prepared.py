"""From a source's arrays to what a training sees: which images train, which validate, and how pixels are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.data.arrays import ImageArrays
from nasplug.data.preprocessing import PixelType, Preprocessing
from nasplug.data.splits import TEST_SEED, Indices, balanced_subset, stratified_split

if TYPE_CHECKING:
    from nasplug.data.arrays import Images, Labels


_CHUNK = 2048

#: What happens to training images: nothing, mirroring left to right, shifting, or both.
Augment = Literal["none", "flip", "crop", "crop_flip"]


def check_batching(
    batch_size: int, augment: str, pad: int | None, eval_batch_size: int | None, num_workers: int
) -> None:
    """Refuses impossible arguments of a data module; needs no torch.

    Raises:
        SpecError: An augmentation is unknown, or a number too small.
    """
    known = get_args(Augment)
    if augment not in known:
        raise SpecError(f"there is no augmentation {augment!r}", where="augment", why=did_you_mean(str(augment), known))
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("eval_batch_size", eval_batch_size, 1),
        ("num_workers", num_workers, 0),
        ("pad", pad, 0),
    ):
        if value is not None and value < least:
            raise SpecError(f"{name} must be >= {least}, got {value}", where="image batches")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some of the images of an array: `x[index]` with the labels `y[index]`. Nothing is copied."""

    x: Images
    y: Labels
    index: Indices

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImages:
    """The three parts of a data set, disjoint, and the scaling of its pixels.

    Attributes:
        train: Images that a search trains on.
        val: Images that a search is judged by; never part of `train`.
        test: Images that only a final test may use; never part of the others. None if there are no such images.
        mean: Mean of the training pixels per channel (C,), with pixels in 0..1 for uint8 images.
        std: Standard deviation likewise; 1 where a channel is constant.
        classes: Names of the classes.
        input_shape: Shape (C, H, W) of one image as a network sees it.
        preprocessing: Steps from image files to these arrays, without mean and standard deviation.
        remark: Decisions that the source made by itself, for people.
    """

    train: Part
    val: Part
    test: Part | None
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    remark: str = ""

    def way(self, *, normalise: bool) -> Preprocessing:
        """Returns the way from an image to the tensor of a network.

        Args:
            normalise: Whether mean and standard deviation belong to it.
        """
        return self.preprocessing.normalised(self.mean, self.std) if normalise else self.preprocessing

    def __str__(self) -> str:
        """Says in one line what the data are."""
        counts = [f"{len(part)} {name}" for name, part in self._parts()]
        share = np.bincount(self.val.y[self.val.index]).max() / len(self.val)
        line = f"{' + '.join(counts)} images, {self.preprocessing}, {plural(len(self.classes), 'class')}"
        line += f"; the most frequent one has {share:.1%} of the validation images"
        return f"{line}; {self.remark}" if self.remark else line

    def _parts(self) -> list[tuple[str, Part]]:
        parts = [("training", self.train), ("validation", self.val)]
        return parts if self.test is None else [*parts, ("test", self.test)]


def prepare(
    arrays: ImageArrays,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    limit: int | None = None,
    seed: int = 0,
) -> PreparedImages:
    """Divides a data set and measures its training part.

    The order of the cuts makes leaks impossible: test images first (the source's own, or the same images for every
    seed), then the limit, then validation images (the source's own, or a stratified part of what is left).

    Args:
        arrays: The images.
        val_fraction: Part of the training images held out for validation; unused if the source has its own.
        test_fraction: Part of the training images held out for the final test; unused if the source has its own.
            0 means none.
        limit: Number of images, class balanced, that training and validation together may use; None means all. A
            source's own validation images do not count.
        seed: Seed of the limit and of the validation part.

    Raises:
        DataError: A part would be empty.
    """
    x, y = arrays.x_train, arrays.y_train
    rng = np.random.default_rng(seed)
    usable = np.arange(len(y))
    test = None
    if arrays.x_test is not None and arrays.y_test is not None:
        test = Part(arrays.x_test, arrays.y_test, np.arange(len(arrays.y_test)))
    elif test_fraction:
        usable, held = stratified_split(y, test_fraction, np.random.default_rng(TEST_SEED))
        test = Part(x, y, held)
    if limit is not None:
        usable = usable[balanced_subset(y[usable], limit, rng)]
    if arrays.x_val is not None and arrays.y_val is not None:
        val = Part(arrays.x_val, arrays.y_val, np.arange(len(arrays.y_val)))
    else:
        rest, held = stratified_split(y[usable], val_fraction, rng)
        val = Part(x, y, usable[held])
        usable = usable[rest]
    train = Part(x, y, usable)
    mean, std = channel_statistics(train)
    preprocessing = arrays.preprocessing
    if preprocessing is None:
        pixels: PixelType = "uint8" if x.dtype == np.uint8 else "float32"
        preprocessing = Preprocessing.of_arrays(arrays.input_shape, pixels)
    return PreparedImages(train, val, test, mean, std, arrays.classes, arrays.input_shape, preprocessing, arrays.remark)


def channel_statistics(part: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per channel over the pixels of one part.

    Returns:
        Two arrays (C,); uint8 pixels count as 0..1. A constant channel has standard deviation 1.
    """
    channels = part.x.shape[3] if part.x.ndim == 4 else 1
    total, squares, pixels = np.zeros(channels), np.zeros(channels), 0
    for start in range(0, len(part), _CHUNK):
        chunk = part.x[part.index[start : start + _CHUNK]].reshape(-1, channels)
        pixels += len(chunk)
        if part.x.dtype == np.uint8:
            levels = np.arange(256, dtype=np.float64)
            for channel in range(channels):  # counting the 256 levels is exact and faster than float sums
                counts = np.bincount(chunk[:, channel], minlength=256)
                total[channel] += counts @ levels
                squares[channel] += counts @ levels**2
        else:
            wide = chunk.astype(np.float64)
            total += wide.sum(axis=0)
            squares += (wide**2).sum(axis=0)
    mean = total / pixels
    variance = np.maximum(squares / pixels - mean**2, 0.0)
    scale = 255.0 if part.x.dtype == np.uint8 else 1.0
    std = np.sqrt(variance) / scale
    std[std < 1e-8] = 1.0
    return mean / scale, std
