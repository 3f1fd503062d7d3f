"""Convolutional and linear layers that are quantised, or not where a precision has no bits."""

from __future__ import annotations

from torch import nn

from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear


def conv2d(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    dilation: int = 1,
    groups: int = 1,
    precision: Precision | None = None,
) -> nn.Conv2d:
    """Makes a convolution without bias that keeps the size at stride 1.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Kernel size, odd.
        stride: Stride in both directions.
        dilation: Dilation in both directions.
        groups: Number of groups; `inputs` makes it depthwise.
        precision: Bits and quantisers; None, or a precision without weight bits or activation bits, for floating point.
    """
    padding = dilation * (kernel // 2)
    if precision is None or precision.weight_bits is None or precision.activation_bits is None:
        return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return QuantConv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False, precision=precision)


def linear(inputs: int, outputs: int, precision: Precision | None = None) -> nn.Linear:
    """Makes a linear layer.

    Args:
        inputs: Number of input features.
        outputs: Number of output features.
        precision: Bits and quantisers; None, or a precision without weight bits or activation bits, for floating point.
    """
    if precision is None or precision.weight_bits is None or precision.activation_bits is None:
        return nn.Linear(inputs, outputs)
    return QuantLinear(inputs, outputs, precision=precision)
