"""The parts of a folded network: comparisons, whole-number products, and what brings accumulators back to values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug_darts_lp.folding.lines import Line
from nasplug_darts_lp.folding.operators import compare, conv_integer, matmul_integer
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear, rescaled
from nasplug_darts_lp.layers.recognition import same_padding
from nasplug_darts_lp.quantisers.base import per_channel

#: Byte that stands for weight 0. Signed bytes would do, but some processors saturate sums of their products.
WEIGHT_ZERO = 128


class Comparison(nn.Module):
    """What turns numbers into codes.

    Attributes:
        integer: Whether the numbers are accumulators.
    """

    integer: bool


class Thresholds(Comparison):
    """Codes from comparisons, channel by channel.

    Args:
        thresholds: (C, 2^bits - 1), ascending; float32 for values, int32 for accumulators; one row if all channels have
            the same.
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
        self.integer = not thresholds.is_floating_point()

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


class EvenThresholds(Comparison):
    """Codes of values from evenly spaced thresholds: an estimate by a line, and one comparison on either side of it.

    Thresholds of a uniform quantiser lie on a line up to the rounding of each. The estimate is wrong by one at most,
    so that comparisons with the two thresholds around it give the code, exactly.

    Args:
        thresholds: (2^bits - 1,), float32, ascending, the same for all channels; `even` says whether it can be.
        factor: Code per level.
    """

    integer = False
    thresholds: Tensor

    def __init__(self, thresholds: Tensor, factor: int) -> None:
        super().__init__()
        self.register_buffer("thresholds", thresholds.clone())
        self.steps, self.factor = len(thresholds), factor
        first, last = float(thresholds[0]), float(thresholds[-1])
        self.slope = (self.steps - 1) / (last - first)
        self.offset = 1.0 - first * self.slope

    @classmethod
    def even(cls, thresholds: Tensor) -> bool:
        """Whether the estimate is wrong by one at most, for all values."""
        if len(thresholds) < 15 or not bool(thresholds.isfinite().all()) or not thresholds[0] < thresholds[-1]:
            return False
        made = cls(thresholds, 1)
        at = torch.arange(1, made.steps + 1)
        below = torch.nextafter(thresholds, torch.full_like(thresholds, -torch.inf))
        # The estimate is monotone: between two thresholds it lies between what it is at these ends.
        right = (made._estimate(thresholds) - at).abs() <= 1
        left = (made._estimate(below) - (at - 1)).abs() <= 1
        return bool((right & left).all())

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, ...) of type float32 to uint8 of the same shape."""
        ends = torch.full((1,), torch.inf)
        rows = torch.cat([-ends, self.thresholds, ends])
        near = self._estimate(inputs)
        found = near + (inputs >= rows[near + 1]).to(torch.int64) - (inputs < rows[near]).to(torch.int64)
        return (found * self.factor).to(torch.uint8)

    def _estimate(self, inputs: Tensor) -> Tensor:
        line = torch.floor(inputs * self.slope + self.offset)
        return line.clamp(0.0, float(self.steps)).to(torch.int64)

    def extra_repr(self) -> str:
        """What is printed."""
        return f"levels={self.steps + 1}, of=values"


class Requantise(Comparison):
    """Codes of accumulators by a multiplication and a sum, exactly those of comparisons; see `lines`.

    Args:
        line: Line of every channel; its slope is negative where a channel's values fall with its accumulators.
        steps: Number of thresholds that this replaces, 2^bits - 1.
        factor: Code per level, 1, or 2 for a signed bit.
        bent: Comparisons of the channels that do not have a line, in their order; None if all have one.
    """

    slope: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor
    at: Tensor
    step: Tensor
    channels: Tensor | None
    order: Tensor | None
    integer = True

    def __init__(self, line: Line, steps: int, factor: int, bent: Thresholds | None = None) -> None:
        super().__init__()
        for name in ("slope", "offset", "low", "high", "at", "step"):
            self.register_buffer(name, getattr(line, name))
        self.steps, self.factor, self.bent = steps, factor, bent
        channels = line.bent.nonzero().flatten()
        order = torch.arange(len(line.bent))
        order[channels] = len(order) + torch.arange(len(channels))  # bent ones stand behind all others
        self.register_buffer("channels", None if bent is None else channels.to(torch.int32))
        self.register_buffer("order", None if bent is None else order, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, ...) of type int32 to uint8 of the same shape."""
        line = inputs.to(torch.float64) * per_channel(self.slope, inputs) + per_channel(self.offset, inputs)
        ends = [per_channel(end.to(torch.float64), inputs) for end in (self.low, self.high)]
        levels = torch.floor(line).clamp(*ends).to(torch.int32)
        for index in range(self.at.shape[1]):
            here = inputs == per_channel(self.at[:, index], inputs)
            levels = levels + here.to(torch.int32) * per_channel(self.step[:, index].to(torch.int32), inputs)
        codes = (levels * self.factor).to(torch.uint8)
        if self.bent is None:
            return codes
        assert self.channels is not None
        assert self.order is not None
        others = self.bent(inputs.index_select(1, self.channels))
        return torch.cat([codes, others], 1).index_select(1, self.order)

    def extra_repr(self) -> str:
        """What is printed."""
        channels, exceptions = self.at.shape
        return f"channels={channels}, levels={self.steps + 1}, of=accumulators, exceptions={exceptions}"


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
