"""Segmentation of a whole volume by windows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nasplug.optional import require
from nasplug.tasks.segmentation.losses import outputs_of

if TYPE_CHECKING:
    from nasplug.tasks.segmentation.settings import Scoring


def segment(network: Callable[[Tensor], object], image: Tensor, patch: Sequence[int], scoring: Scoring) -> Tensor:
    """Returns logits of a whole volume; a flat network answers it slice by slice.

    Windows overlap, and their logits are weighted by a bump that falls towards the edges. With flips, the result is the
    logarithm of the mean probability.

    Args:
        network: Network for patches (N, C, *patch).
        image: Scaled volume (C, X, Y, Z).
        patch: Size of a patch along each axis, two or three.
        scoring: Settings.

    Returns:
        Logits (K, X, Y, Z).
    """
    inferers = require("monai.inferers", extra="medical", purpose="segment volumes by windows")
    flat = len(patch) == 2
    batch = (image.permute(3, 0, 1, 2) if flat else image[None]).contiguous()

    def answer(windows: Tensor) -> Tensor:
        return outputs_of(network(windows))[0]

    def whole(volume: Tensor) -> Tensor:
        found: Tensor = inferers.sliding_window_inference(
            volume, tuple(patch), scoring.windows, answer, overlap=scoring.overlap, mode="gaussian"
        )
        return found.float()

    axes = range(2, 2 + len(patch))
    flips = [chosen for count in range(len(patch) + 1) for chosen in itertools.combinations(axes, count)]
    if not scoring.flips:
        logits = whole(batch)
    else:
        total = torch.zeros(())
        for chosen in flips:
            total = total.to(batch.device) + whole(batch.flip(chosen)).softmax(1).flip(chosen)
        logits = (total / len(flips)).clamp_min(1e-8).log()
    return logits.permute(1, 2, 3, 0) if flat else logits[0]
