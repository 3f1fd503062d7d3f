"""Augmentation of a whole batch at once: no Python per image."""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.data.prepared import Augment


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: Float tensor (N, C, H, W).
        generator: Source of randomness.

    Returns:
        A new tensor (N, C, H, W).
    """
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def random_crop(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to `pad` pixels in both directions; what comes in from outside is 0.

    That is the usual random crop out of a zero-padded image. Applied after normalisation, 0 is the mean pixel.

    Args:
        images: Float tensor (N, C, H, W).
        pad: Largest shift in pixels, at least 0.
        generator: Source of randomness.

    Returns:
        A new tensor (N, C, H, W).
    """
    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    top, left = torch.randint(0, 2 * pad + 1, (2, len(images)), generator=generator)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view (N, C, 2 pad + 1, 2 pad + 1, H, W)
    return windows[torch.arange(len(images)), :, top, left]


def augment(images: Tensor, how: Augment, pad: int, generator: torch.Generator) -> Tensor:
    """Applies the named augmentation to a batch.

    Args:
        images: Normalised float tensor (N, C, H, W).
        how: "none", "flip", "crop" or "crop_flip".
        pad: Largest shift of the crops in pixels.
        generator: Source of randomness.
    """
    if how in ("crop", "crop_flip"):
        images = random_crop(images, pad, generator)
    if how in ("flip", "crop_flip"):
        images = random_flip(images, generator)
    return images
