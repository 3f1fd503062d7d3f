"""A small residual network, which the conformance suite reduces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task


class Block(nn.Module):
    """A residual block: (N, channels, H, W) to the same.

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Adds what two convolutions compute."""
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class SmallResNet(nn.Sequential):
    """Stem, residual blocks and head: images (N, 3, H, W) to logits (N, classes).

    Args:
        width: Number of channels.
        blocks: Number of blocks.
        classes: Number of classes.
    """

    def __init__(self, width: int = 12, blocks: int = 2, classes: int = 10) -> None:
        stem = (nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
        super().__init__(*stem, *(Block(width) for _ in range(blocks)), *head)


def small_resnet() -> SmallResNet:
    """Makes the network with the same random numbers every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SmallResNet()


def grey_resnet() -> SmallResNet:
    """Makes the network for images of one channel (N, 1, H, W)."""
    network = small_resnet()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network[0] = nn.Conv2d(1, 12, 3, padding=1, bias=False)
    return network


def images() -> Task:
    """Makes a task of 48 small colour images of noise, for tests of what trains itself."""
    from torch.utils.data import DataLoader, TensorDataset

    from nasplug.tasks import LightningTask
    from nasplug_reduction.task import classifier

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(48, 3, 16, 16, generator=generator)
    y = torch.randint(0, 10, (48,), generator=generator)
    loader = DataLoader(TensorDataset(x, y), 16)
    arguments = {"outputs": 10}
    return LightningTask(classifier, (loader, loader), input_shape=(3, 16, 16), outputs=10, module_args=arguments)
