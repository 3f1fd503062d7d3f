"""The operators of folded networks: comparisons, and products of bytes, which exist in ONNX but not in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nasplug_darts_lp.quantisers import count

NAMESPACE = "nasplug_darts_lp"


@torch.library.custom_op(
    f"{NAMESPACE}::compare", mutates_args=(), schema="(Tensor inputs, Tensor thresholds, int factor) -> Tensor"
)
def compare(inputs: Tensor, thresholds: Tensor, factor: int) -> Tensor:
    """Codes: how many thresholds of its channel each number reaches, times a factor.

    Args:
        inputs: (N, C, ...), float32 or int32.
        thresholds: (C, 2^bits - 1), ascending, of the same type.
        factor: Code per level.

    Returns:
        uint8, the shape of the inputs.
    """
    return (factor * count(inputs, thresholds)).to(torch.uint8)


@compare.register_fake
def _(inputs: Tensor, thresholds: Tensor, factor: int) -> Tensor:
    return torch.empty_like(inputs, dtype=torch.uint8)


@torch.library.custom_op(
    f"{NAMESPACE}::conv_integer",
    mutates_args=(),
    schema="(Tensor codes, Tensor weight, int zero, int weight_zero, int[] stride, int[] padding, int[] dilation,"
    " int groups) -> Tensor",
)
def conv_integer(
    codes: Tensor,
    weight: Tensor,
    zero: int,
    weight_zero: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Convolves codes - zero with weight - weight_zero; padded positions hold 0.

    Torch does not have a convolution of integers. Double precision holds all products and sums here exactly.

    Args:
        codes: (N, C, H, W), uint8.
        weight: (O, C / groups, Kh, Kw), uint8.
        zero: Code that stands for 0.
        weight_zero: Byte that stands for weight 0.
        stride: (vertical, horizontal).
        padding: (top, left, bottom, right).
        dilation: (vertical, horizontal).
        groups: Number of groups.

    Returns:
        (N, O, H', W'), int32.
    """
    top, left, bottom, right = padding
    padded = functional.pad(codes.double() - zero, (left, right, top, bottom))
    sums = functional.conv2d(padded, weight.double() - weight_zero, None, list(stride), 0, list(dilation), groups)
    return sums.round().to(torch.int32)


@conv_integer.register_fake
def _(
    codes: Tensor,
    weight: Tensor,
    zero: int,
    weight_zero: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    top, left, bottom, right = padding
    shape = codes.new_empty(
        (codes.shape[0], codes.shape[1], codes.shape[2] + top + bottom, codes.shape[3] + left + right),
        dtype=torch.float32,
    )
    like = functional.conv2d(shape, weight.float(), None, list(stride), 0, list(dilation), groups)
    return like.to(torch.int32)


@torch.library.custom_op(
    f"{NAMESPACE}::matmul_integer",
    mutates_args=(),
    schema="(Tensor codes, Tensor weight, int zero, int weight_zero) -> Tensor",
)
def matmul_integer(codes: Tensor, weight: Tensor, zero: int, weight_zero: int) -> Tensor:
    """Multiplies codes - zero by weight - weight_zero.

    Args:
        codes: (N, F), uint8.
        weight: (F, O), uint8.
        zero: Code that stands for 0.
        weight_zero: Byte that stands for weight 0.

    Returns:
        (N, O), int32.
    """
    return ((codes.double() - zero) @ (weight.double() - weight_zero)).round().to(torch.int32)


@matmul_integer.register_fake
def _(codes: Tensor, weight: Tensor, zero: int, weight_zero: int) -> Tensor:
    return codes.new_empty((codes.shape[0], weight.shape[1]), dtype=torch.int32)


@torch.library.custom_op(
    f"{NAMESPACE}::add_integer",
    mutates_args=(),
    schema="(Tensor first, Tensor second, int[] factors, int[] zeros, int factor, int shift, int out_zero, int steps)"
    " -> Tensor",
)
def add_integer(
    first: Tensor,
    second: Tensor,
    factors: Sequence[int],
    zeros: Sequence[int],
    factor: int,
    shift: int,
    out_zero: int,
    steps: int,
) -> Tensor:
    """Adds codes: floor(((p a + q b) m + 2^(s-1)) / 2^s) + out_zero between 0 and `steps`, for codes less their zeros.

    Args:
        first: (N, ...), uint8.
        second: The same shape, uint8.
        factors: Factors p and q of the two.
        zeros: Codes of the two that stand for 0.
        factor: Factor m of their sum.
        shift: Places s that the product is shifted.
        out_zero: Code of the sum that stands for 0.
        steps: Largest code of the sum.

    Returns:
        uint8, the shape of the inputs.
    """
    total = factors[0] * (first.to(torch.int32) - zeros[0]) + factors[1] * (second.to(torch.int32) - zeros[1])
    levels = (total * factor + ((1 << shift) >> 1)) >> shift
    return (levels + out_zero).clamp(0, steps).to(torch.uint8)


@add_integer.register_fake
def _(first: Tensor, *_: object) -> Tensor:
    return torch.empty_like(first)
