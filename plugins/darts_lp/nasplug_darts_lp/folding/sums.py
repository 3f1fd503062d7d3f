"""The parts of a folded network that add and average codes, and what brings codes to numbers and values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasplug_darts_lp.folding.modules import WEIGHT_ZERO
from nasplug_darts_lp.folding.operators import add_integer, conv_integer
from nasplug_darts_lp.layers.exact import ExactAvgPool, is_timm
from nasplug_darts_lp.layers.sums import Ratio


@dataclass(frozen=True)
class Coding:
    """How codes of a whole map stand for values: `unit * (code - zero)`.

    Attributes:
        unit: Unit of the codes, ().
        zero: Code that stands for 0.
        steps: Largest code.
    """

    unit: Tensor
    zero: int
    steps: int


class IntegerAdd(nn.Module):
    """The sum of two maps of codes as codes; see `nasplug_darts_lp.layers.sums`.

    Args:
        numbers: Whole numbers of the addition.
        first: Coding of the first map.
        second: Coding of the second map.
        out: Coding of the sum.
    """

    def __init__(self, numbers: Ratio, first: Coding, second: Coding, out: Coding) -> None:
        super().__init__()
        self.factors = [int(numbers.first), int(numbers.second)]
        self.factor, self.shift = int(numbers.factor), int(numbers.shift)
        self.zeros = [first.zero, second.zero]
        self.out_zero, self.steps = out.zero, out.steps
        self.units = [float(coding.unit) for coding in (first, second, out)]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two maps (N, C, ...) of type uint8 to one of the same shape and type."""
        found: Tensor = add_integer(
            first, second, self.factors, self.zeros, self.factor, self.shift, self.out_zero, self.steps
        )
        return found

    def extra_repr(self) -> str:
        """What is printed."""
        return f"factors={self.factors}, factor={self.factor}, shift={self.shift}, zeros={self.zeros}"


class Numbers(nn.Module):
    """Codes as the whole numbers they are compared as.

    Args:
        zero: Code that stands for 0.
    """

    def __init__(self, zero: int) -> None:
        super().__init__()
        self.zero = zero

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, ...) of type uint8 to int32."""
        return codes.to(torch.int32) - self.zero


class Values(nn.Module):
    """Codes as values, where something reads them that does not compare: an output, or a layer in floating point.

    Args:
        coding: Meaning of the codes.
    """

    unit: Tensor

    def __init__(self, coding: Coding) -> None:
        super().__init__()
        self.zero = coding.zero
        self.register_buffer("unit", coding.unit.detach().clone())

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, ...) of type uint8 to float32."""
        return (codes.to(torch.float32) - float(self.zero)) * self.unit


@dataclass(frozen=True)
class Window:
    """Windows of an average pool that all have as many places.

    Attributes:
        kernel: Height and width of the windows.
        stride: Rows and columns from one to the next.
        padding: Rows above and below, columns left and right, which count as places.
        divisors: Numbers that a sum is divided by, one after the other.
        flat: Whether a map of one position becomes a row.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    divisors: tuple[int, ...]
    flat: bool = False

    @property
    def places(self) -> int:
        """Number of places of a window."""
        return self.kernel[0] * self.kernel[1]

    def mean(self, sums: Tensor, unit: Tensor) -> Tensor:
        """What the pool gives for windows with these sums of codes: exact sums, divided and rounded as torch does.

        Args:
            sums: Whole numbers of any shape.
            unit: Unit of the codes, ().
        """
        found = sums.double() * unit.double()
        for divisor in self.divisors:
            found = found / divisor
        return found.to(torch.float32)


class CodeSum(nn.Module):
    """Sums of the codes of windows: an average pool before its division.

    Args:
        window: Geometry of the pool.
        channels: Channels of the map.
        zero: Code that stands for 0.
    """

    weight: Tensor

    def __init__(self, window: Window, channels: int, zero: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((channels, 1, *window.kernel), WEIGHT_ZERO + 1, dtype=torch.uint8))
        self.zero, self.groups, self.flat = zero, channels, window.flat
        self.stride, self.padding = list(window.stride), [*window.padding, *window.padding]
        self.window = window

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C, H, W) of type uint8 to (N, C, H', W'), or (N, C) behind a pool that flattens, of type int32."""
        sums: Tensor = conv_integer(
            codes, self.weight, self.zero, WEIGHT_ZERO, self.stride, self.padding, [1, 1], self.groups
        )
        return sums.flatten(1) if self.flat else sums


def window_of(module: ExactAvgPool, size: tuple[int, ...]) -> Window | None:
    """The windows of a pool for maps of (H, W); None if they differ in their number of places.

    Args:
        module: Average pool.
        size: (H, W).
    """
    pool, flat = module.pool, False
    if isinstance(pool, nn.Sequential) and len(pool) == 2 and isinstance(pool[1], nn.Flatten):
        pool, flat = pool[0], True
    height, width = size
    if is_timm(pool, "adaptive_avgmax_pool.FastAdaptiveAvgPool"):
        if str(getattr(pool, "input_fmt", "NCHW")) not in ("NCHW", "Format.NCHW"):
            return None
        return Window((height, width), (1, 1), (0, 0), (height * width,), bool(pool.flatten))
    if type(pool) is nn.AdaptiveAvgPool2d:
        wanted = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size,) * 2
        out = [have if want is None else int(want) for want, have in zip(wanted, size, strict=True)]
        if height % out[0] or width % out[1]:
            return None
        kernel = height // out[0], width // out[1]
        divisors = (height * width,) if out == [1, 1] else kernel
        return Window(kernel, kernel, (0, 0), divisors, flat)
    if type(pool) is nn.AvgPool2d:
        kernel, stride, padding = (_pair(value) for value in (pool.kernel_size, pool.stride, pool.padding))
        uneven = any(padding) and not pool.count_include_pad
        sides = zip(size, kernel, stride, padding, strict=True)
        if pool.ceil_mode:  # the last windows may end outside of the map
            uneven = uneven or any((side + 2 * pad - k) % step for side, k, step, pad in sides)
        if pool.divisor_override is not None or uneven:
            return None
        return Window(kernel, stride, padding, (kernel[0] * kernel[1],), flat)
    return None


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))
