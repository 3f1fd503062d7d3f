"""The one form in which every source hands its images over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.data.preprocessing import Preprocessing

#: Pixels and classes of images, of whatever width their numbers are.
Images: TypeAlias = NDArray[np.uint8 | np.floating]
Labels: TypeAlias = NDArray[np.integer]

SPLITS = ("train", "val", "test")
#: Ways to labels from 0 to number of classes - 1.
_NUMBERED = "classes, y = np.unique(y, return_inverse=True)"
_ONE_HOT = "y.argmax(axis=1), if each row has a 1 for its class"


@dataclass(frozen=True, slots=True, eq=False)
class ImageArrays:
    """Labelled images, checked once when they are made.

    Attributes:
        x_train: uint8 (0 to 255) or floating array (N, H, W) or (N, H, W, C); floating ones are held as float32.
        y_train: Integer labels (N,) from 0 to number of classes - 1; held as int64.
        x_val: Validation images of the same image shape, or None: then a part of the training images is held out.
        y_val: Labels of `x_val`.
        x_test: Test images, or None. Only a final test may look at them.
        y_test: Labels of `x_test`.
        classes: Names of the classes; empty means "0", "1", ... up to the largest label.
        where: Name of these data in error messages, such as a path.
        preprocessing: Steps from image files to these arrays; None where the source has arrays.
        remark: Decisions that the source made by itself, for people.

    Raises:
        DataError: A split is empty, shapes differ, a label lies outside the classes, or a pixel is not finite.
    """

    x_train: Images
    y_train: Labels
    x_val: Images | None = None
    y_val: Labels | None = None
    x_test: Images | None = None
    y_test: Labels | None = None
    classes: tuple[str, ...] = ()
    where: str = "image arrays"
    preprocessing: Preprocessing | None = None
    remark: str = ""

    def __post_init__(self) -> None:
        largest = -1
        for split in SPLITS:
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            if (x is None) != (y is None):
                lonely, absent = ("images", "labels") if y is None else ("labels", "images")
                raise DataError(f"the {split} split has {lonely} but no {absent}", where=self.where)
            if x is None and split != "train":
                continue
            images = _check_images(np.asarray(x), split, self.where)
            labels = _check_labels(np.asarray(y), len(images), split, self.where)
            object.__setattr__(self, f"x_{split}", images)
            object.__setattr__(self, f"y_{split}", labels)
            self._compare_with_train(images, split)
            largest = max(largest, int(labels.max()))
        if not self.classes:
            self._check_numbering(largest)
        names = tuple(str(name) for name in self.classes) or tuple(str(label) for label in range(largest + 1))
        if largest >= len(names):
            raise DataError(
                f"a label is {largest}, but there are {plural(len(names), 'class')}",
                where=self.where,
                why=f"labels must lie in 0..{len(names) - 1}",
                fix="number the classes from 0, or name all of them",
            )
        if len(names) < 2:
            raise DataError("there is only one class", where=self.where, why="nothing can be told apart")
        object.__setattr__(self, "classes", names)

    def _check_numbering(self, largest: int) -> None:
        """Refuses identifiers in place of labels, and says which classes have no training image."""
        if largest >= max(len(self.y_train), 1000):
            raise DataError(
                f"the labels go up to {largest}, and there are {plural(len(self.y_train), 'training image')}",
                where=self.where,
                why="every number up to the largest label is a class",
                fix=f"number the classes from 0: {_NUMBERED}",
            )
        seen = np.bincount(self.y_train, minlength=largest + 1)
        absent = [str(label) for label in np.flatnonzero(seen == 0)]
        if absent:
            named = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            said = f"no training image has the label {named}, though the largest one is {largest}"
            object.__setattr__(self, "remark", "; ".join(filter(None, [self.remark, said])))

    def _compare_with_train(self, images: Images, split: str) -> None:
        train = self.x_train  # comes first, so it is checked and converted already
        if images.shape[1:] != train.shape[1:] or images.dtype != train.dtype:
            raise DataError(
                f"the {split} images are {images.dtype} {images.shape[1:]}, "
                f"the train images {train.dtype} {train.shape[1:]}",
                where=self.where,
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image as a network sees it."""
        height, width, *channels = self.x_train.shape[1:]
        return (channels[0] if channels else 1, height, width)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    def items(self) -> Iterator[tuple[str, Images | Labels]]:
        """Yields `(field, array)` for every array that is there, as in ("x_train", ...)."""
        for split in SPLITS:
            for field in (f"x_{split}", f"y_{split}"):
                array = getattr(self, field)
                if array is not None:
                    yield field, array


def _check_images(x: Images, split: str, where: str) -> Images:
    """Returns the images as uint8 or float32, without a copy where they are so already."""
    if x.ndim not in (3, 4):
        raise DataError(
            f"the {split} images have shape {x.shape}",
            where=where,
            why="images must be (N, H, W) or (N, H, W, C)",
        )
    if 0 in x.shape:
        raise DataError(f"the {split} split holds no images (shape {x.shape})", where=where)
    if x.ndim == 4 and x.shape[1] <= 4 < min(x.shape[2:]):
        raise DataError(
            f"the {split} images have shape {x.shape}, which reads as {x.shape[3]} channels",
            where=where,
            why="images must be (N, H, W) or (N, H, W, C), channels last",
            fix="hand them over as x.transpose(0, 2, 3, 1)",
        )
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise DataError(
            f"the {split} images are of type {x.dtype}",
            where=where,
            why="pixels must be uint8 (0 to 255) or floating",
            fix=_conversion(x),
        )
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        images = np.ascontiguousarray(x, dtype=np.float32)
    if not np.isfinite(images).all():
        raise DataError(
            f"the {split} images hold NaN or infinite pixels, or numbers beyond float32",
            where=where,
            fix="replace them, or scale the pixels to 0..1",
        )
    return images


def _conversion(x: NDArray[np.generic]) -> str:
    """How to bring pixels of another type to one that is taken, without wrapping around."""
    if x.dtype.kind == "b":
        return "convert them with x.astype('uint8') * 255"
    if x.dtype.kind == "c":
        return "take a real part or a magnitude, such as abs(x)"
    if x.dtype.kind not in "iu":
        return "make numbers of them, such as np.array(pixels, dtype='float32')"
    low, high = int(x.min()), int(x.max())
    if low >= 0 and high <= 255:
        return "convert them with x.astype('uint8'): they lie in 0..255"
    shifted = f"(x - {low:.1f})" if low < 0 else "x"
    return (
        f"they lie in {low}..{high}: scale all splits alike, with ({shifted} / {float(high - min(low, 0)):.1f})"
        ".astype('float32')"
    )


def _check_labels(y: NDArray[np.generic], count: int, split: str, where: str) -> NDArray[np.int64]:
    if y.shape != (count,):
        what = f"the {split} split has {plural(count, 'image')} and labels of shape {y.shape}"
        column = y.ndim == 2 and len(y) == count
        raise DataError(
            what, where=where, fix="y.ravel()" if column and y.shape[1] == 1 else _ONE_HOT if column else None
        )
    if y.dtype.kind not in "iu":
        fix = "y.astype(int)" if y.dtype.kind in "fb" else _NUMBERED
        raise DataError(f"the {split} labels are of type {y.dtype}, not integers", where=where, fix=fix)
    labels = y.astype(np.int64)
    if labels.min() < 0:
        raise DataError(f"the {split} labels hold the negative label {labels.min()}", where=where, fix=_NUMBERED)
    return labels
