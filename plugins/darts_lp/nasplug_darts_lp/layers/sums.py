"""Additions of quantised maps in whole numbers, alike in training, in inference and on hardware.

Two branches hold codes a and b, whole numbers that stand for the values u a and v b. Their sum is coded in units of w
by

    code = clip(floor(((p a + q b) m + 2^(s-1)) / 2^s)),

with p and q of at most 7 bits, whose ratio is the best there is for u : v, and a dyadic factor m / 2^s, m of 14 bits,
for what is left, so that p m / 2^s is about u / w and q m / 2^s about v / w. Halves are rounded up. All of it fits 32
bits: |p a + q b| is below 2^16, its product with m at most 2^30. The larger of p and q is 64 to 127, so that their
ratio is off by at most 1/128, and mostly by far less, and the dyadic factor by 2^-14 of itself. HAWQ-V3 (arXiv
2011.10680) has a dyadic factor of its own for every branch of a residual addition; here the branches share one, so that
an array of 8-bit multipliers adds them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nasplug_darts_lp.quantisers.base import short_float
from nasplug_darts_lp.quantisers.baselines import LSQ
from nasplug_darts_lp.quantisers.squeeze import positive

#: Largest factor of a branch, which is a weight of 8 bits.
LARGEST = 127
#: Bits of the dyadic factor.
FACTOR_BITS = 14
#: Most places that a sum is shifted.
MOST_SHIFT = 30
#: Bits of the codes of branches and sums.
BITS = 8


class Ratio(NamedTuple):
    """The whole numbers of an addition, () of type float64 each, so that nothing waits for a GPU.

    Attributes:
        first, second: Factors p and q of the branches, 0 to 127.
        factor: Factor m of their sum.
        shift: Places s that the product is shifted.
    """

    first: Tensor
    second: Tensor
    factor: Tensor
    shift: Tensor

    def levels(self, first: Tensor, second: Tensor) -> Tensor:
        """Codes of the sum before they are clipped, of codes of the branches; exact in double precision."""
        total = self.first * first.double() + self.second * second.double()
        return torch.floor(total * self.factor * torch.exp2(-self.shift) + 0.5)


@torch.no_grad()
def ratio(first: Tensor, second: Tensor, out: Tensor) -> Ratio:
    """The whole numbers for units of the branches and of the sum.

    Args:
        first: Unit u of the first branch, (), positive.
        second: Unit v of the second branch.
        out: Unit w of the sum.
    """
    u, v, w = (unit.double() for unit in (first, second, out))
    large, small = torch.maximum(u, v), torch.minimum(u, v)
    wide = torch.arange(LARGEST // 2 + 1, LARGEST + 1, dtype=torch.float64, device=u.device)
    narrow = (small / large * wide).round()
    best = (narrow / wide - small / large).abs().argmin()
    p, q = wide[best], narrow[best]
    mantissa, exponent = torch.frexp(large / p / w)
    shift = (FACTOR_BITS - exponent).clamp(0, MOST_SHIFT).double()
    factor = (torch.ldexp(mantissa, exponent) * torch.exp2(shift)).round().clamp(max=2.0**FACTOR_BITS)
    swapped = v > u
    return Ratio(torch.where(swapped, q, p), torch.where(swapped, p, q), factor, shift)


def unit_of(step: Tensor) -> Tensor:
    """The unit (), as inference rounds it, of codes whose quantiser has this step."""
    return short_float(positive(step.detach())).reshape(-1)[0]


class MapQuantiser(LSQ):
    """Codes a whole map, which additions and pools read: 8 bits, one learned step for all channels.

    Args:
        levels: Positions of the levels, `auto`, or `unsigned` where a ReLU follows.
    """

    def __init__(self, *, levels: str = "auto") -> None:
        super().__init__(BITS, 1, levels=levels)


class IntegerSum(nn.Module):
    """The sum of two maps of codes, coded again.

    Gradients are those of the plain sum behind an LSQ quantiser (straight through, with the gradient of its step); what
    comes out are the values of the whole-number codes, in training and in inference.

    Args:
        levels: Positions of the levels of the sum, `auto`, or `unsigned` where a ReLU follows.

    Attributes:
        output: Quantiser of the sum.
    """

    def __init__(self, *, levels: str = "auto") -> None:
        super().__init__()
        self.output = MapQuantiser(levels=levels)

    def forward(self, first: Tensor, second: Tensor, first_step: Tensor, second_step: Tensor) -> Tensor:
        """The values of the codes of the sum.

        Args:
            first: Values of codes (N, ...).
            second: The others, of the same shape.
            first_step: Step of the quantiser of the first branch, () or (1,).
            second_step: Step of the quantiser of the second branch.
        """
        if first.device.type == "meta" or not self.output.enabled:
            return first + second
        soft = self.output(first + second) if self.training else None
        with torch.no_grad(), torch.autocast(first.device.type, enabled=False):
            units = unit_of(first_step), unit_of(second_step)
            codes = [(map_.float() / unit).round() for map_, unit in zip((first, second), units, strict=True)]
            found = self.output.static()
            level = self.ratio(*units).levels(*codes) + self.output.zero_level()
            level = level.clamp(0, self.output.steps).float()
            values = (found.offset[0] + found.step[0] * level).to(first.dtype)
        return values if soft is None else soft + (values - soft).detach()

    def ratio(self, first: Tensor, second: Tensor) -> Ratio:
        """The whole numbers of the addition.

        Args:
            first: Unit of the first branch, ().
            second: Unit of the second branch.
        """
        return ratio(first, second, self.output.static().step[0])
