"""The parts of a folded network: comparisons, whole-number products, and what brings accumulators back to values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug_darts_lp.folding.operators import compare, conv_integer, matmul_integer
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear, rescaled
from nasplug_darts_lp.layers.recognition import same_padding
from nasplug_darts_lp.quantisers.base import per_channel

#: Byte that stands for weight 0. Signed bytes would do, but some processors saturate sums of their products.
WEIGHT_ZERO = 128


class Thresholds(nn.Module):
    """Codes from comparisons, channel by channel.

    Args:
        thresholds: (C, 2^bits - 1), ascending; float32 for values, int32 for accumulators.
        signs: (C,), 1, or -1 where a channel's accumulators are compared with their sign changed, as falling functions
            of them need it; None where all are 1.
        factor: Code per level, 1, or 2 for a signed bit.
    """

    thresholds: Tensor
    signs: Tensor | None

    def __init__(self, thresholds: Tensor, signs: Tensor | None, factor: int) -> None:
        super().__init__()
        self.register_buffer("thresholds", thresholds)
        self.register_buffer("signs", signs)
        self.factor = factor

    @property
    def integer(self) -> bool:
        """Whether it compares accumulators."""
        return not self.thresholds.is_floating_point()

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, ...), or (N, ..., C) in front of a linear layer, to uint8 of the same shape."""
        if self.signs is not None:
            inputs = inputs * per_channel(self.signs, inputs)
        codes: Tensor = compare(inputs, self.thresholds, self.factor)
        return codes

    def extra_repr(self) -> str:
        """What is printed."""
        channels, steps = self.thresholds.shape
        return f"channels={channels}, levels={steps + 1}, of={'accumulators' if self.integer else 'values'}"


class IntegerConv2d(nn.Module):
    """A convolution of bytes.

    Args:
        layer: Layer whose inference it computes.
        zero: Code that stands for 0.
        size: (H, W) of its inputs.
    """

    weight: Tensor

    def __init__(self, layer: QuantConv2d, zero: int, size: tuple[int, ...]) -> None:
        super().__init__()
        assert layer.weight_quantiser is not None
        self.bits = layer.weight_quantiser.bits
        numbers, _ = layer.weight_quantiser.integers(layer.weight)
        self.register_buffer("weight", (numbers + WEIGHT_ZERO).to(torch.uint8))
        self.zero = zero
        self.stride = [int(size) for size in layer.stride]
        self.dilation = [int(size) for size in layer.dilation]
        self.padding = _padding(layer, size)
        self.groups = layer.groups

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) of type uint8 to (N, O, H', W') of type int32."""
        arguments = (self.stride, self.padding, self.dilation, self.groups)
        found: Tensor = conv_integer(codes, self.weight, self.zero, WEIGHT_ZERO, *arguments)
        return found


class IntegerLinear(nn.Module):
    """A product of bytes.

    Args:
        layer: Layer whose inference it computes.
        zero: Code that stands for 0.
    """

    weight: Tensor

    def __init__(self, layer: QuantLinear, zero: int) -> None:
        super().__init__()
        assert layer.weight_quantiser is not None
        self.bits = layer.weight_quantiser.bits
        numbers, _ = layer.weight_quantiser.integers(layer.weight)
        self.register_buffer("weight", (numbers + WEIGHT_ZERO).to(torch.uint8).t().contiguous())
        self.zero = zero

    def forward(self, codes: Tensor) -> Tensor:
        """(N, F) of type uint8 to (N, O) of type int32."""
        found: Tensor = matmul_integer(codes, self.weight, self.zero, WEIGHT_ZERO)
        return found


class Rescale(nn.Module):
    """A scale and a shift, for whatever is not a comparison: accumulators in front of an addition, or at the output.

    Args:
        scale: (O,).
        bias: (O,), or None.
    """

    scale: Tensor
    bias: Tensor | None

    def __init__(self, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("scale", scale.detach().clone())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def forward(self, sums: Tensor) -> Tensor:
        """(N, O, ...) of any type to float32."""
        return rescaled(sums, self.scale, self.bias)


class Rows(nn.Module):
    """All but the last dimension as one, in front of a linear layer on more than rows."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, ..., F) to (M, F)."""
        return inputs.flatten(0, -2)


class CodePool(nn.Module):
    """The maximum of codes, which is the code of the maximum.

    Args:
        pool: Pool of values.
    """

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) of type uint8 to (N, C, H', W')."""
        pooled: Tensor = self.pool(codes.float())
        return pooled.to(torch.uint8)


def _padding(layer: QuantConv2d, size: tuple[int, ...]) -> list[int]:
    """(top, left, bottom, right)."""
    if layer.pad_same:
        return list(same_padding(layer, size))
    if isinstance(layer.padding, str):
        totals = [0, 0]
        if layer.padding == "same":
            sizes = zip(layer.kernel_size, layer.dilation, strict=True)
            totals = [dilation * (kernel - 1) for kernel, dilation in sizes]
        before = [total // 2 for total in totals]
        return [*before, *(total - half for total, half in zip(totals, before, strict=True))]
    vertical, horizontal = layer.padding
    return [int(vertical), int(horizontal), int(vertical), int(horizontal)]
