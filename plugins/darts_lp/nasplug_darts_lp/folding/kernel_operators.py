"""The operators of networks for the integer kernels of runtimes: what QuantizeLinear and its inverse stand for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nasplug_darts_lp.folding.operators import NAMESPACE
from nasplug_darts_lp.quantisers.base import per_channel

#: Most that a byte holds.
LARGEST = 255


@torch.library.custom_op(
    f"{NAMESPACE}::quantize", mutates_args=(), schema="(Tensor values, float scale, int zero) -> Tensor"
)
def quantize(values: Tensor, scale: float, zero: int) -> Tensor:
    """ONNX's QuantizeLinear: `round(values / scale) + zero`, halves to even, between 0 and 255.

    Args:
        values: (N, ...), float32.
        scale: Step between two codes.
        zero: Code that stands for 0.

    Returns:
        uint8, the shape of the values.
    """
    steps = torch.round(values / torch.tensor(scale, dtype=torch.float32))
    return (steps + zero).clamp(0, LARGEST).to(torch.uint8)


@quantize.register_fake
def _(values: Tensor, scale: float, zero: int) -> Tensor:
    return torch.empty_like(values, dtype=torch.uint8)


@torch.library.custom_op(
    f"{NAMESPACE}::between", mutates_args=(), schema="(Tensor codes, Tensor low, Tensor high) -> Tensor"
)
def between(codes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Codes that are not below `low` and not above `high`.

    Args:
        codes: (N, C, ...), uint8.
        low: (1,) or (C,), uint8.
        high: (1,) or (C,), uint8.
    """
    return torch.minimum(torch.maximum(codes, per_channel(low, codes)), per_channel(high, codes))


@between.register_fake
def _(codes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.empty_like(codes)


@torch.library.custom_op(
    f"{NAMESPACE}::conv_requantised",
    mutates_args=(),
    schema="(Tensor codes, Tensor weight, Tensor scale, Tensor bias, int zero, int out_zero, int[] stride,"
    " int[] padding, int[] dilation, int groups) -> Tensor",
)
def conv_requantised(
    codes: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor,
    zero: int,
    out_zero: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """A convolution from codes to codes: `round((sums + bias) * scale) + out_zero`, halves to even, from 0 to 255.

    In ONNX it is a Conv between DequantizeLinear and QuantizeLinear, which runtimes run as one integer kernel.

    Args:
        codes: (N, C, H, W), uint8.
        weight: (O, C / groups, Kh, Kw), int8.
        scale: (O,), float32, positive.
        bias: (O,), int32, in units of the sums.
        zero: Code that stands for 0 in the inputs; padded positions hold it.
        out_zero: Code that stands for 0 in the outputs.
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right).
        dilation: (vertical, horizontal).
        groups: Number of groups.

    Returns:
        (N, O, H', W'), uint8.
    """
    top, left, bottom, right = padding
    padded = functional.pad(codes.double() - zero, (left, right, top, bottom))
    sums = functional.conv2d(padded, weight.double(), bias.double(), list(stride), 0, list(dilation), groups)
    values = sums.round().to(torch.float32) * per_channel(scale, sums)
    return (torch.round(values) + out_zero).clamp(0, LARGEST).to(torch.uint8)


@conv_requantised.register_fake
def _(
    codes: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor,
    zero: int,
    out_zero: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    top, left, bottom, right = padding
    size = (codes.shape[0], codes.shape[1], codes.shape[2] + top + bottom, codes.shape[3] + left + right)
    shape = codes.new_empty(size, dtype=torch.float32)
    like = functional.conv2d(shape, weight.float(), None, list(stride), 0, list(dilation), groups)
    return torch.empty_like(like, dtype=torch.uint8)


@torch.library.custom_op(
    f"{NAMESPACE}::add_requantised",
    mutates_args=(),
    schema="(Tensor first, Tensor second, float[] scales, int[] zeros, int out_zero) -> Tensor",
)
def add_requantised(
    first: Tensor, second: Tensor, scales: Sequence[float], zeros: Sequence[int], out_zero: int
) -> Tensor:
    """An addition from codes to codes: `round(u (a - zero) + v (b - zero)) + out_zero`, halves to even, from 0 to 255.

    In ONNX it is an Add between DequantizeLinear and QuantizeLinear, which runtimes run as one integer kernel.

    Args:
        first: (N, ...), uint8.
        second: The same shape, uint8.
        scales: Factors u and v of the two, in units of the sum.
        zeros: Codes of the two that stand for 0.
        out_zero: Code of the sum that stands for 0.

    Returns:
        uint8, the shape of the inputs.
    """
    values = [
        (codes.to(torch.float32) - zero) * torch.tensor(scale, dtype=torch.float32)
        for codes, zero, scale in zip((first, second), zeros, scales, strict=True)
    ]
    return (torch.round(values[0] + values[1]) + out_zero).clamp(0, LARGEST).to(torch.uint8)


@add_requantised.register_fake
def _(first: Tensor, second: Tensor, scales: Sequence[float], zeros: Sequence[int], out_zero: int) -> Tensor:
    return torch.empty_like(first)
