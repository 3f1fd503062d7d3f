"""Layers of the networks: convolutions that are quantised or not, and the residual block around one.

Every convolution in low precision has a shortcut around it, which carries what its few levels lose: Liu et al.,
"Bi-Real Net", ECCV 2018; Liu et al., "ReActNet", ECCV 2020. The normalisation stands before the next quantiser, with a
PReLU in between.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.supernet.cost import ConvShape


@dataclass(frozen=True, slots=True)
class Quantisers:
    """Kinds of quantisers in built networks.

    Attributes:
        activations: See `activation_quantiser`.
        weights: See `weight_quantiser`.
    """

    activations: str = "double_st"
    weights: str = "uniform"


def conv2d(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    dilation: int = 1,
    groups: int = 1,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    quantisers: Quantisers | None = None,
) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1, in floating point if no bits are given."""
    padding = dilation * (kernel // 2)
    if weight_bits is None or activation_bits is None:
        return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    chosen = quantisers or Quantisers()
    return QuantConv2d(
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        bias=False,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        activations=chosen.activations,
        weights=chosen.weights,
    )


def linear(inputs: int, outputs: int, bits: int | None, quantisers: Quantisers | None = None) -> nn.Linear:
    """A linear layer, in floating point if no bits are given."""
    if bits is None:
        return nn.Linear(inputs, outputs)
    chosen = quantisers or Quantisers()
    return QuantLinear(
        inputs,
        outputs,
        weight_bits=bits,
        activation_bits=bits,
        activations=chosen.activations,
        weights=chosen.weights,
    )


def bare_conv(shape: ConvShape, weight_bits: int, activation_bits: int) -> nn.Module:
    """A single convolution, for hardware that prices one at a time; more than 8 bits are floating point."""
    bits = (weight_bits, activation_bits) if max(weight_bits, activation_bits) <= 8 else (None, None)
    return conv2d(
        shape.inputs,
        shape.outputs,
        shape.kernel,
        shape.stride,
        dilation=shape.dilation,
        groups=shape.groups,
        weight_bits=bits[0],
        activation_bits=bits[1],
    )


class ConvNorm(nn.Module):
    """A convolution and its normalisation; the counterpart of an open one in a supernet, with the same names."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H / stride, W / stride)."""
        normal: Tensor = self.norm(self.conv(x))
        return normal


def shortcut(inputs: int, outputs: int, stride: int, bits: int | None, quantisers: Quantisers | None) -> nn.Module:
    """What goes around a block: nothing, or a mean of 2x2 pixels and a 1x1 convolution in high precision."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    conv = conv2d(inputs, outputs, 1, weight_bits=bits, activation_bits=bits, quantisers=quantisers)
    pool = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
    return nn.Sequential(*pool, ConvNorm(conv))


class ResidualConv(nn.Module):
    """prelu(shortcut(x) + norm(conv(x))): (N, inputs, H, W) -> (N, outputs, H / stride, W / stride).

    Args:
        branch: Convolution with normalisation.
        around: The shortcut.
        channels: Of the output.
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
