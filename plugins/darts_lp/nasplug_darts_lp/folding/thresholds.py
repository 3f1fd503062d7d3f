"""Integer thresholds: from which accumulator on does inference reach a level?

Everything between a convolution and a quantiser (scale, bias, batch normalisation, ReLU) maps the accumulator of a
channel to a number and is monotone there, also with rounding, because it is made of single operations that IEEE 754
rounds monotonically. So each threshold on the value is one on the accumulator. It is found by bisection on the very
computation of inference, not by solving for it: what the float network says at an integer is what the folded one
says.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nasplug.contract.errors import SpecError


@torch.no_grad()
def integer_thresholds(value: Callable[[Tensor], Tensor], thresholds: Tensor, bound: int) -> tuple[Tensor, Tensor]:
    """Thresholds on accumulators.

    Args:
        value: Maps accumulators (L, C), int64, to the values (L, C) that are compared; monotone per channel.
        thresholds: (C, L), ascending, on values.
        bound: No accumulator is larger in magnitude.

    Returns:
        Thresholds (C, L), int32, and signs (C,), int32: a level is reached where sign * accumulator >= threshold. A
        level that no accumulator reaches has the threshold `bound` + 1.

    Raises:
        SpecError: Accumulators need more than 32 bits.
    """
    if bound >= 2**31 - 1:
        raise SpecError(f"accumulators up to {bound} need more than 32 bits", where="fold", fix="use fewer bits")
    channels, steps = thresholds.shape
    ends = torch.tensor([-bound, bound])[:, None].expand(2, channels)
    first, last = value(ends)
    signs = torch.where(last >= first, 1, -1)
    wanted = thresholds.t()
    low = torch.full((steps, channels), -bound)
    high = torch.full((steps, channels), bound + 1)
    for _ in range((2 * bound + 1).bit_length()):
        middle = (low + high).div(2, rounding_mode="floor")
        reached = value(signs * middle) >= wanted
        # `high` is never tried itself: at bound + 1 the search has ended with "never".
        high, low = torch.where(reached, middle, high), torch.where(reached | (low == high), low, middle + 1)
    return high.t().to(torch.int32).contiguous(), signs.to(torch.int32)
