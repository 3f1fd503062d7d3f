"""Operations of the micro space: (N, C, H, W) -> (N, C, H / stride, W / stride), sizes rounded up.

Source: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, and its released code. Every
convolution is preceded by a ReLU and followed by batch normalisation; a separable one is applied twice.
"""

from __future__ import annotations

from torch import nn

from nasplug.nn.darts import FactorizedReduce, conv2d, separable


def relu_conv_bn(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, batch normalisation."""
    return nn.Sequential(nn.ReLU(), conv2d(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs))


def depthwise_separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise convolution, pointwise convolution, batch normalisation."""
    return nn.Sequential(nn.ReLU(), *separable(channels, kernel, stride, dilation))


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
