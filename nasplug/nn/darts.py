"""Operations of DARTS's cells, for images (N, C, H, W), whatever their convolutions are made of.

Source: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, and its released code. Every
convolution is preceded by a ReLU and followed by normalisation.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Convolution(Protocol):
    """Makes the convolutions of an operation, such as quantised ones."""

    def __call__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, dilation: int = 1, groups: int = 1
    ) -> nn.Conv2d:
        """Makes a convolution without bias that keeps the size at stride 1.

        Args:
            inputs: Number of input channels.
            outputs: Number of output channels.
            kernel: Kernel size, odd.
            stride: Stride in both directions.
            dilation: Dilation in both directions.
            groups: Number of groups; `inputs` makes it depthwise.
        """


def conv2d(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Makes a convolution in floating point, see `Convolution`."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


def separable(
    channels: int, kernel: int, stride: int = 1, dilation: int = 1, *, conv: Convolution = conv2d
) -> tuple[nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]:
    """Makes the layers of a separable convolution: depthwise, pointwise, normalisation.

    Args:
        channels: Number of input and output channels.
        kernel: Kernel size of the depthwise convolution.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        conv: Function that makes the convolutions.
    """
    depthwise = conv(channels, channels, kernel, stride, dilation=dilation, groups=channels)
    return depthwise, conv(channels, channels, 1), nn.BatchNorm2d(channels)


class FactorizedReduce(nn.Module):
    """Halves the image by two 1x1 convolutions of stride 2, one of them on the image moved by a pixel.

    (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), sizes rounded up; the moved image gets zeros where it ends.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        conv: Function that makes the convolutions.
    """

    def __init__(self, inputs: int, outputs: int, conv: Convolution = conv2d) -> None:
        super().__init__()
        half = outputs // 2
        self.straight = conv(inputs, outputs - half, 1, 2)
        self.moved = conv(inputs, half, 1, 2) if half else None
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Reduces a feature map."""
        x = F.relu(x)
        parts = [self.straight(x)]
        if self.moved is not None:
            height, width = x.shape[2:]
            parts.append(self.moved(F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]))
        normal: Tensor = self.norm(torch.cat(parts, dim=1))
        return normal
