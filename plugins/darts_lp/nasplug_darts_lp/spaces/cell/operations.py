"""Operations of the cells, and what prepares their inputs, for images (N, C, H, W).

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019, and its released code. Every convolution is preceded by a ReLU and
followed by normalisation, a separable one is applied twice. Pools are normalised as in the search of DARTS.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug_darts_lp.layers.build import conv2d
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.spaces.blocks import ConvNorm
from nasplug_darts_lp.spaces.cell.edges import Edge
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.spaces.checks import check_image


class Separable(nn.Module):
    """ReLU, depthwise convolution, pointwise convolution, normalisation.

    Args:
        channels: Number of input and output channels.
        kernel, stride, dilation: Kernel size, stride and dilation of the depthwise convolution.
        precision: Bits and quantisers of both convolutions.
    """

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int, precision: Precision) -> None:
        super().__init__()
        self.depthwise = conv2d(
            channels, channels, kernel, stride, dilation=dilation, groups=channels, precision=precision
        )
        self.pointwise = conv2d(channels, channels, 1, precision=precision)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        normal: Tensor = self.norm(self.pointwise(self.depthwise(F.relu(x))))
        return normal


class FactorizedReduce(nn.Module):
    """Halves the image by two 1x1 convolutions of stride 2, one of them on the image moved by a pixel.

    (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), sizes rounded up; the moved image gets zeros where it ends.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        precision: Bits and quantisers of both convolutions.
    """

    def __init__(self, inputs: int, outputs: int, precision: Precision) -> None:
        super().__init__()
        half = outputs // 2
        self.straight = conv2d(inputs, outputs - half, 1, 2, precision=precision)
        self.moved = conv2d(inputs, half, 1, 2, precision=precision) if half else None
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


def relu_conv(inputs: int, outputs: int, precision: Precision) -> nn.Sequential:
    """Makes ReLU, 1x1 convolution and normalisation."""
    return nn.Sequential(nn.ReLU(), ConvNorm(conv2d(inputs, outputs, 1, precision=precision)))


def pool(name: str, channels: int, stride: int) -> nn.Sequential:
    """Makes a 3x3 pool with normalisation."""
    window: nn.Module = nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        window = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    return nn.Sequential(window, nn.BatchNorm2d(channels, affine=False))


def operation(edge: Edge, channels: int, stride: int, fixed: Precision) -> nn.Module:
    """Makes the operation of an edge: (N, channels, H, W) -> (N, channels, H / stride, W / stride).

    Args:
        edge: Gives the name and the bits.
        channels: Number of channels.
        stride: Stride, 1 or 2.
        fixed: Precision of convolutions whose bits are not a choice; its quantisers are those of the edge, too.
    """
    name = edge.operation
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, fixed)
    if name.endswith("pool_3x3"):
        return pool(name, channels, stride)
    kernel, precision = int(name[-1]), fixed.at(edge.weight_bits, edge.activation_bits)
    if name.startswith("dil_conv"):
        return nn.Sequential(Separable(channels, kernel, stride, 2, precision))
    return nn.Sequential(
        Separable(channels, kernel, stride, 1, precision), Separable(channels, kernel, 1, 1, precision)
    )


def prepare(before_last: int, last: int, channels: int, after_reduction: bool, fixed: Precision) -> nn.ModuleList:
    """Makes what brings the two inputs of a cell to its channels and size.

    Args:
        before_last: Number of channels of the last cell but one.
        last: Number of channels of the last cell.
        channels: Number of channels of the cell's operations.
        after_reduction: Whether the last cell halved the image.
        fixed: Precision of the convolutions.
    """
    shrink = FactorizedReduce if after_reduction else relu_conv
    return nn.ModuleList([shrink(before_last, channels, fixed), relu_conv(last, channels, fixed)])


def make_stem(settings: CellSettings, input_shape: Sequence[int]) -> ConvNorm:
    """Makes the stem of network and supernet.

    Args:
        settings: Settings of the space.
        input_shape: Shape (C, H, W) of one image.

    Raises:
        SpecError: The inputs are not images.
    """
    check_image(input_shape, "darts_lp.cell")
    return ConvNorm(conv2d(input_shape[0], 3 * settings.channels, 3, precision=settings.fixed))
