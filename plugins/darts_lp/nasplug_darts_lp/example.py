"""A small residual network and a task of noise, which the conformance suites quantise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task


class SmallNetwork(nn.Module):
    """Stem, one residual block and head: images (N, 1, H, W) to logits (N, 10).

    Args:
        width: Number of channels.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Computes logits."""
        images = self.stem(images)
        return self.head(torch.relu(self.second(self.first(images)) + images))  # type: ignore[no-any-return]


def small_network() -> SmallNetwork:
    """Makes the network with the same random numbers every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SmallNetwork()


def small_task() -> Task:
    """Makes a task of a few digits."""
    from nasplug.tasks import ImageClassification

    return ImageClassification(limit=48, batch_size=16)
