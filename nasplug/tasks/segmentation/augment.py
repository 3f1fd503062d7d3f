"""Dictionary transforms of MONAI that vary patches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nasplug.optional import require

#: What a transform gets and returns: `image` (C, *size) and `label` (1, *size).
Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]

_KEYS = ("image", "label")


def standard_transform(dimensions: int) -> Any:
    """Returns a `monai.transforms.Compose` that rotates, scales, blurs, adds noise, changes brightness and contrast.

    Args:
        dimensions: 2 or 3.
    """
    transforms = require("monai.transforms", extra="medical", purpose="vary patches")
    turn = math.radians(15 if dimensions == 3 else 30)
    return transforms.Compose(
        [
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
        ]
    )
