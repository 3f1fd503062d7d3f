"""How well a mask agrees with the truth: per class and case, on the grid of the file."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasplug.optional import require

#: What is computed of each class; distances of surfaces cost more than the rest.
VOLUMES = ("dice", "volume_difference")
SURFACES = ("hd95", "surface_dice")


@dataclass(frozen=True)
class CaseScore:
    """Scores of one case, one value for each class but the background.

    A class that neither the truth nor the answer holds has NaN everywhere, and is left out of means.

    Attributes:
        case: Position of the case.
        dice: Twice the common voxels over the sum of both.
        volume_difference: Difference of both volumes over that of the truth, without sign.
        hd95: 95th percentile of the distances between surfaces in millimetres; the diagonal of the volume where only
            one of the two holds the class.
        surface_dice: Part of both surfaces that lies within the tolerance of the other one.
    """

    case: int
    dice: tuple[float, ...]
    volume_difference: tuple[float, ...]
    hd95: tuple[float, ...] = ()
    surface_dice: tuple[float, ...] = ()


def score(
    answer: Tensor, truth: Tensor, classes: int, case: int, spacing: Sequence[float], tolerance: float | None = None
) -> CaseScore:
    """Scores one case.

    Args:
        answer: Class of each voxel, integers (X, Y, Z).
        truth: True class of each voxel, integers (X, Y, Z).
        classes: Number of classes with the background.
        case: Position of the case.
        spacing: Size of a voxel along each axis, in millimetres.
        tolerance: Distance that the surface Dice forgives, in millimetres; None computes no distances.
    """
    pairs = torch.bincount(truth.flatten().long() * classes + answer.flatten().long(), minlength=classes**2)
    matrix = pairs.view(classes, classes).double().cpu()
    common, true, answered = matrix.diag()[1:], matrix.sum(1)[1:], matrix.sum(0)[1:]
    absent = true + answered == 0
    dice = (2 * common / (true + answered)).masked_fill(absent, math.nan)
    difference = ((answered - true).abs() / true).masked_fill(true == 0, math.nan)
    found = CaseScore(case, tuple(dice.tolist()), tuple(difference.tolist()))
    if tolerance is None:
        return found
    far, near = _surfaces(answer.cpu(), truth.cpu(), classes, spacing, tolerance)
    return CaseScore(case, found.dice, found.volume_difference, far, near)


def means(scores: Sequence[CaseScore], classes: Sequence[str]) -> dict[str, float]:
    """Returns the mean of each score over cases, for each class and over the classes.

    The mean over classes is that of their means, so that a class that few cases hold counts as much as the others.

    Args:
        scores: Scores of the cases.
        classes: Names of the classes without the background.
    """
    found: dict[str, float] = {}
    for name in (*VOLUMES, *SURFACES):
        table = np.array([getattr(each, name) for each in scores], np.float64)
        if not table.size:
            continue
        per_class = [_mean(column) for column in table.T]
        found[name] = _mean(np.array(per_class))
        if name == "dice":
            found |= {f"dice_{slug(label)}": value for label, value in zip(classes, per_class, strict=True)}
    return found


def slug(label: str) -> str:
    """Returns the name of a class as metrics write it: `Left ventricle` becomes `left_ventricle`."""
    return re.sub(r"\W+", "_", label.strip().lower()).strip("_") or "class"


def _mean(values: NDArray[np.float64]) -> float:
    real = values[~np.isnan(values)]
    return float(real.mean()) if len(real) else math.nan


def _surfaces(
    answer: Tensor, truth: Tensor, classes: int, spacing: Sequence[float], tolerance: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    metrics = require("monai.metrics", extra="medical", purpose="compare surfaces")
    flat = 1 in answer.shape
    sizes = list(spacing)
    if flat:  # a slice has an outline, not a surface
        axis = list(answer.shape).index(1)
        answer, truth = answer.squeeze(axis), truth.squeeze(axis)
        sizes.pop(axis)
    diagonal = math.sqrt(sum((size * count) ** 2 for size, count in zip(sizes, answer.shape, strict=True)))
    far, near = [], []
    for value in range(1, classes):
        ours, true = (answer == value)[None, None], (truth == value)[None, None]
        if not ours.any() and not true.any():
            far.append(math.nan)
            near.append(math.nan)
        elif not ours.any() or not true.any():
            far.append(diagonal)
            near.append(0.0)
        else:
            options = {"include_background": True, "spacing": sizes}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # MONAI warns of an argument that it sets itself
                far.append(float(metrics.compute_hausdorff_distance(ours, true, percentile=95, **options)))
                near.append(float(metrics.compute_surface_dice(ours, true, class_thresholds=[tolerance], **options)))
    return tuple(far), tuple(near)
