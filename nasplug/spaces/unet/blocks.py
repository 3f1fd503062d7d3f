"""Blocks of U-Nets for 2 or 3 dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.spaces.unet.levels import EXPANSION


class Layers:
    """Makes layers of one number of dimensions and one kind of normalisation.

    Args:
        dimensions: 2 or 3.
        norm: `instance`, `batch` or `group`.
    """

    def __init__(self, dimensions: int, norm: str) -> None:
        self.dimensions, self.kind = dimensions, norm
        flat = dimensions == 2
        self.convolution: Any = nn.Conv2d if flat else nn.Conv3d
        self.transposed: Any = nn.ConvTranspose2d if flat else nn.ConvTranspose3d
        self._instance: Any = nn.InstanceNorm2d if flat else nn.InstanceNorm3d
        self._batch: Any = nn.BatchNorm2d if flat else nn.BatchNorm3d

    def norm(self, channels: int) -> nn.Module:
        """A normalisation with weights."""
        if self.kind == "group":
            return nn.GroupNorm(math.gcd(8, channels), channels)
        made: nn.Module = self._batch(channels) if self.kind == "batch" else self._instance(channels, affine=True)
        return made

    def conv(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1, groups: int = 1
    ) -> nn.Module:
        """A convolution that keeps the size at stride 1."""
        padding = [side // 2 for side in kernel]
        made: nn.Module = self.convolution(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        return made

    def unit(self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] | int = 1) -> nn.Sequential:
        """A convolution, normalisation and activation."""
        return nn.Sequential(self.conv(inputs, outputs, kernel, stride), self.norm(outputs), activation())

    def point(self) -> list[int]:
        """The kernel of one voxel."""
        return [1] * self.dimensions


def activation() -> nn.Module:
    """The activation of all blocks."""
    return nn.LeakyReLU(0.01, inplace=True)


class Residual(nn.Module):
    """Two convolutions and a shortcut, projected where the channels differ."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, kernel: Sequence[int]) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            layers.unit(inputs, outputs, kernel), layers.conv(outputs, outputs, kernel), layers.norm(outputs)
        )
        self.shortcut = nn.Identity() if inputs == outputs else layers.conv(inputs, outputs, layers.point())

    def forward(self, x: Tensor) -> Tensor:
        """From (N, inputs, *size) to (N, outputs, *size)."""
        return functional.leaky_relu(self.branch(x) + self.shortcut(x), 0.01)


class Inverted(nn.Module):
    """An inverted bottleneck: widened, filtered channel by channel, narrowed; a shortcut where the channels agree."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, kernel: Sequence[int]) -> None:
        super().__init__()
        inside = EXPANSION * inputs
        self.branch = nn.Sequential(
            layers.unit(inputs, inside, layers.point()),
            layers.conv(inside, inside, kernel, groups=inside),
            layers.norm(inside),
            activation(),
            layers.conv(inside, outputs, layers.point()),
            layers.norm(outputs),
        )
        self.same = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """From (N, inputs, *size) to (N, outputs, *size)."""
        answer: Tensor = self.branch(x)
        return answer + x if self.same else answer


class Gate(nn.Module):
    """Attention gate on a skip (Oktay et al., arXiv 1804.03999): weights voxels by what comes from below."""

    def __init__(self, layers: Layers, channels: int) -> None:
        super().__init__()
        inside = max(1, channels // 2)
        self.from_skip = layers.conv(channels, inside, layers.point())
        self.from_below = layers.conv(channels, inside, layers.point())
        self.weight: nn.Module = layers.convolution(inside, 1, 1)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """Weighted skip (N, C, *size); both inputs have that shape."""
        inside = functional.leaky_relu(self.from_skip(skip) + self.from_below(below), 0.01)
        return skip * torch.sigmoid(self.weight(inside))


def block(layers: Layers, kind: str, inputs: int, outputs: int, kernel: Sequence[int]) -> nn.Module:
    """Returns a block.

    Args:
        layers: Maker of layers.
        kind: `conv`, `residual`, `inverted` or `separable`.
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Side of the windows along each axis.
    """
    if kind == "conv":
        return layers.unit(inputs, outputs, kernel)
    if kind == "residual":
        return Residual(layers, inputs, outputs, kernel)
    if kind == "inverted":
        return Inverted(layers, inputs, outputs, kernel)
    return nn.Sequential(
        layers.conv(inputs, inputs, kernel, groups=inputs), layers.unit(inputs, outputs, layers.point())
    )
