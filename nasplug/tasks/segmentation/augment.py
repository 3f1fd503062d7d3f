"""Dictionary transforms of MONAI that cut patches and vary them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nasplug.optional import require
from nasplug.tasks.segmentation.settings import AugmentName

#: What a transform gets and returns: `image` (C, *size) and `label` (1, *size).
Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]

_KEYS = ("image", "label")
_CENTRES = "centres"


def patch_transform(patch: Sequence[int], classes: int, foreground: float, augment: AugmentName) -> Any:
    """Returns a `monai.transforms.Compose` that cuts one patch out of a volume and varies it.

    A sample has `image` (C, X, Y, Z), `label` (1, X, Y, Z) and `centres`, flat positions of voxels of each class.

    Args:
        patch: Size along each axis; two sizes cut slices across the last axis.
        classes: Number of classes with the background.
        foreground: Part of the patches whose centre lies in the foreground.
        augment: Augmentation.
    """
    transforms = require("monai.transforms", extra="medical", purpose="cut patches")
    flat = len(patch) == 2
    size = [*patch, 1] if flat else list(patch)
    share = foreground / (classes - 1)
    steps = [
        transforms.RandCropByLabelClassesd(
            keys=_KEYS,
            label_key="label",
            spatial_size=size,
            ratios=[1.0 - foreground, *[share] * (classes - 1)],
            num_classes=classes,
            num_samples=1,
            indices_key=_CENTRES,
            allow_smaller=True,
            warn=False,
        ),
        transforms.SpatialPadd(keys=_KEYS, spatial_size=size),
    ]
    if flat:
        steps.append(transforms.SqueezeDimd(keys=_KEYS, dim=-1))
    return transforms.Compose([*steps, *_varied(transforms, len(patch), augment)])


def _varied(transforms: Any, dimensions: int, augment: AugmentName) -> list[Any]:
    if augment == "none":
        return []
    flips = [transforms.RandFlipd(keys=_KEYS, prob=0.5, spatial_axis=axis) for axis in range(dimensions)]
    if augment == "flips":
        return flips
    turn = math.radians(15 if dimensions == 3 else 30)
    return [
        transforms.RandAffined(
            keys=_KEYS,
            prob=0.3,
            rotate_range=[turn] * (1 if dimensions == 2 else 3),
            scale_range=[0.2] * dimensions,
            mode=("bilinear", "nearest"),
            padding_mode="border",
        ),
        transforms.RandGaussianNoised(keys="image", prob=0.1, std=0.1),
        transforms.RandGaussianSmoothd(keys="image", prob=0.1),
        transforms.RandScaleIntensityd(keys="image", prob=0.15, factors=0.25),
        transforms.RandAdjustContrastd(keys="image", prob=0.15, gamma=(0.7, 1.5), retain_stats=True),
        *flips,
    ]
