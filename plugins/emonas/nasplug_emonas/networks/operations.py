"""Operations of the micro space: (N, C, H, W) -> (N, C, H / stride, W / stride), sizes rounded up.

Source: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, and its released code. Every
convolution is preceded by a ReLU and followed by batch normalisation; a separable one is applied twice.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relu_conv_bn(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, batch normalisation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs))


def depthwise_separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise convolution, pointwise convolution, batch normalisation."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


class FactorizedReduce(nn.Module):
    """Halves the image by two 1x1 convolutions of stride 2, one of them on the image moved by a pixel.

    (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), sizes rounded up; the moved image gets zeros where it ends.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.straight = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2, bias=False)
        self.moved = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False) if outputs > 1 else None
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Reduces a feature map."""
        x = F.relu(x)
        parts = [self.straight(x)]
        if self.moved is not None:
            height, width = x.shape[2:]
            parts.append(self.moved(F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]))
        result: Tensor = self.norm(torch.cat(parts, dim=1))
        return result


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """An operation of `nasplug_emonas.cells.OPERATIONS`.

    Args:
        name: Name of the operation.
        channels: Channels before and after.
        stride: 1 or 2.
    """
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False),
            nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False),
            nn.BatchNorm2d(channels),
        )
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return depthwise_separable(channels, kernel, stride, dilation=2)
    return nn.Sequential(*depthwise_separable(channels, kernel, stride), *depthwise_separable(channels, kernel, 1))
