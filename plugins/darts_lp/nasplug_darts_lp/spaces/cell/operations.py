"""Operations of the cells, and what prepares their inputs, for images (N, C, H, W).

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019, and its released code. Every convolution is preceded by a ReLU and
followed by normalisation, a separable one is applied twice. Pools are normalised as in the search of DARTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.nn.darts import FactorizedReduce, separable
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
        layers = separable(channels, kernel, stride, dilation, conv=partial(conv2d, precision=precision))
        self.depthwise, self.pointwise, self.norm = layers

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        normal: Tensor = self.norm(self.pointwise(self.depthwise(F.relu(x))))
        return normal


def factorized_reduce(inputs: int, outputs: int, precision: Precision) -> FactorizedReduce:
    """Makes what halves the image, with the bits and quantisers of a precision."""
    return FactorizedReduce(inputs, outputs, partial(conv2d, precision=precision))


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
        return nn.Identity() if stride == 1 else factorized_reduce(channels, channels, fixed)
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
    shrink = factorized_reduce if after_reduction else relu_conv
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
