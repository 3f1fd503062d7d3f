"""How volumes are prepared and divided, as records of plain data; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nasplug.contract.errors import SpecError, did_you_mean

Intensity = Literal["auto", "ct", "zscore", "minmax", "none"]
Allowed = Literal["refuse", "keep"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What happens to every volume once, before anything trains.

    Attributes:
        spacing: Size of a voxel in millimetres along each axis (right, front, up): `median` brings all cases to the
            median where they differ, `original` keeps each as it is, three numbers bring all cases to them.
        intensity: Scale of the intensities: `ct` clips to the 0.5th and 99.5th percentile of the training cases'
            foreground and brings it to mean 0 and standard deviation 1; `zscore` does the latter with each image alone;
            `minmax` brings the same percentiles of each image to 0 and 1; `none`. `auto` means `ct` for a channel
            called CT, `minmax` for grey and coloured images, and `zscore` otherwise.
        window: Lowest and highest intensity that `ct` clips to, in place of the percentiles, such as [-57, 164].
        empty: Whether a mask without foreground, or an image with one value everywhere, is refused or kept.
        nan: Whether voxels that are not numbers are refused, or kept as 0.

    Raises:
        SpecError: A value is unknown or out of range.
    """

    spacing: Literal["median", "original"] | list[float] = "median"
    intensity: Intensity = "auto"
    window: list[float] | None = None
    empty: Allowed = "refuse"
    nan: Allowed = "refuse"

    def __post_init__(self) -> None:
        where = "preparation"
        for name, value, known in (
            ("intensity", self.intensity, get_args(Intensity)),
            ("empty", self.empty, get_args(Allowed)),
            ("nan", self.nan, get_args(Allowed)),
        ):
            if value not in known:
                raise SpecError(f"there is no {name} {value!r}", where=where, fix=did_you_mean(str(value), known))
        if isinstance(self.spacing, str):
            if self.spacing not in ("median", "original"):
                raise SpecError(
                    f"cannot read the spacing {self.spacing!r}", where=where, fix="write median, original or [1, 1, 1]"
                )
        elif len(self.spacing) != 3 or not all(0 < size < math.inf for size in self.spacing):
            raise SpecError(f"the spacing is {self.spacing}", where=where, fix="give three numbers above 0, in mm")
        if self.window is not None and (len(self.window) != 2 or not self.window[0] < self.window[1]):
            raise SpecError(f"the window is {self.window}", where=where, fix="give a low and a high value")


@dataclass(frozen=True, kw_only=True)
class Folds:
    """How cases are divided: always by patient.

    Attributes:
        count: Number of folds; 1 holds out one part for validation.
        fold: Fold that validates, where only one training is made.
        val_fraction: Part of the patients that validates, with one fold and unless the source says so.
        test_fraction: Part of the patients for the final test, unless the source says so; 0 keeps none.
        seed: Seed of the folds. The patients of the test do not depend on it.

    Raises:
        SpecError: A number is out of range.
    """

    count: int = 1
    fold: int = 0
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.fold < self.count:
            raise SpecError(f"count={self.count}, fold={self.fold}", where="folds", fix="count from 0 to count - 1")
        if not 0.0 < self.val_fraction < 1.0 or not 0.0 <= self.test_fraction < 1.0:
            raise SpecError(
                f"val_fraction={self.val_fraction}, test_fraction={self.test_fraction}",
                where="folds",
                fix="give parts between 0 and 1",
            )


def check_patch(patch: Sequence[int], dimensions: int) -> None:
    """Refuses a patch of another number of axes, or without voxels.

    Args:
        patch: Size along each axis.
        dimensions: 2 or 3.

    Raises:
        SpecError: It is not valid.
    """
    if len(patch) != dimensions or min(patch) < 1:
        raise SpecError(
            f"patch_size is {list(patch)}, and dimensions is {dimensions}",
            where="segmentation",
            fix=f"give {dimensions} sizes above 0, or none: they are proposed by the data then",
        )
