"""Residual networks for small images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResNet(nn.Module):
    """He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, for CIFAR, with projections.

    Args:
        channels: Number of channels of an image.
        outputs: Number of classes.
        blocks: Number of blocks in each of the three groups.
        width: Width of the first group; the others are two and four times as wide.
        shortcuts: Whether blocks have a shortcut.
        stem_stride: Stride of the first layer.
    """

    def __init__(
        self, channels: int, outputs: int, *, blocks: int, width: int, shortcuts: bool = True, stem_stride: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        groups: list[nn.Module] = []
        before = width
        for group in range(3):
            for block in range(blocks):
                now = width * 2**group
                groups.append(Block(before, now, 2 if group and not block else 1, shortcuts))
                before = now
        self.blocks = nn.Sequential(*groups)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(before, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, outputs) of images (N, channels, H, W)."""
        logits: Tensor = self.head(torch.flatten(self.pool(self.blocks(self.stem(images))), 1))
        return logits


class Block(nn.Module):
    """Two convolutions of 3 x 3 and a shortcut, a projection where the shape changes.

    Args:
        before: Number of input channels.
        now: Number of output channels.
        stride: Stride of the first convolution.
        shortcut: Whether there is one.
    """

    def __init__(self, before: int, now: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(before, now, 3, stride, 1, bias=False), nn.BatchNorm2d(now)
        self.conv2, self.norm2 = nn.Conv2d(now, now, 3, 1, 1, bias=False), nn.BatchNorm2d(now)
        self.shortcut: nn.Module | None = None
        if shortcut:
            self.shortcut = nn.Identity()
            if stride != 1 or before != now:
                self.shortcut = nn.Sequential(nn.Conv2d(before, now, 1, stride, bias=False), nn.BatchNorm2d(now))

    def forward(self, inputs: Tensor) -> Tensor:
        """Features (N, now, H / stride, W / stride) of features (N, before, H, W)."""
        features = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(inputs)))))
        if self.shortcut is not None:
            features = features + self.shortcut(inputs)
        return torch.relu(features)
