"""Blocks of the networks: a normalised convolution, and the residual block around one.

Every convolution in low precision has a shortcut around it, which carries what its few levels lose: Liu et al.,
"Bi-Real Net", ECCV 2018; Liu et al., "ReActNet", ECCV 2020. The normalisation stands before the next quantiser, with a
PReLU in between.
"""

from __future__ import annotations

from torch import Tensor, nn

from nasplug_darts_lp.layers.build import conv2d
from nasplug_darts_lp.layers.precision import Precision


class ConvNorm(nn.Module):
    """A convolution and its normalisation; the counterpart of a mixed one in a supernet, with the same names."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H / stride, W / stride)."""
        normal: Tensor = self.norm(self.conv(x))
        return normal


def shortcut(inputs: int, outputs: int, stride: int, precision: Precision) -> nn.Module:
    """Makes what goes around a block: the identity, or a mean of 2x2 pixels and a 1x1 convolution in high precision.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: Stride of the block, 1 or 2.
        precision: Bits and quantisers of the 1x1 convolution.
    """
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    pool = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
    return nn.Sequential(*pool, ConvNorm(conv2d(inputs, outputs, 1, precision=precision)))


class ResidualConv(nn.Module):
    """prelu(shortcut(x) + norm(conv(x))): (N, inputs, H, W) -> (N, outputs, H / stride, W / stride).

    Args:
        branch: Convolution with normalisation.
        around: Shortcut around it.
        channels: Number of output channels.
    """

    def __init__(self, branch: nn.Module, around: nn.Module, channels: int) -> None:
        super().__init__()
        self.shortcut, self.branch, self.activation = around, branch, nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Adds branch and shortcut."""
        y: Tensor = self.activation(self.shortcut(x) + self.branch(x))
        return y


class Stem(nn.Sequential):
    """The first convolution with normalisation, PReLU and perhaps a pool: images (N, C, H, W) -> (N, channels, ...)."""

    def __init__(self, conv: nn.Conv2d, pool: bool) -> None:
        layers: list[nn.Module] = [ConvNorm(conv), nn.PReLU(conv.out_channels)]
        super().__init__(*layers, *([nn.MaxPool2d(3, 2, 1)] if pool else []))
