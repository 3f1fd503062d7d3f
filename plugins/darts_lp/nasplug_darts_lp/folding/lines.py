"""Many integer thresholds as one multiplication and one sum, where they lie on a line.

Behind scale, bias and normalisation, the levels of a uniform quantiser are reached at evenly spaced accumulators. The
number of levels that an accumulator `s` reaches is then `floor(s m + b)` with two numbers for each channel in place of
2^bits - 1 thresholds. A product, a sum and a rounding down are monotone also in floating point, so that a line that is
right at every threshold and one below it is right at every accumulator.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Fewer thresholds than these are stored as they are.
FEWEST = 15
_GOLDEN = 0.6180339887498949
_STEPS = 120


@torch.no_grad()
def line_through(thresholds: Tensor, bound: int) -> tuple[Tensor, Tensor] | None:
    """Slopes and offsets that give the same number of reached levels for every accumulator.

    Args:
        thresholds: (C, L), int32, ascending; `bound` + 1 where no accumulator reaches a level.
        bound: No accumulator is larger in magnitude.

    Returns:
        Slopes m and offsets b, float64 (C,) each: `floor(s m + b)` between 0 and L is the number of thresholds that s
        reaches. None if there are few thresholds, or no such line for some channel.
    """
    channels, steps = thresholds.shape
    if steps < FEWEST:
        return None
    levels = torch.arange(1, steps + 1, dtype=torch.float64)
    reached = thresholds.double().clamp_min(-bound)  # first accumulator with the level
    before = thresholds.double() - 1  # last one without it
    infinity = torch.tensor(float("inf"), dtype=torch.float64)

    def ends(slope: Tensor) -> tuple[Tensor, Tensor]:
        """Between which offsets a slope is right: from the first on, and below the second."""
        low = torch.where(reached <= bound, levels - reached * slope, -infinity).amax(1, keepdim=True)
        high = torch.where(before >= -bound, levels - before * slope, infinity).amin(1, keepdim=True)
        return low, high

    inside = (thresholds > -bound) & (thresholds <= bound)
    first = torch.where(inside, reached, infinity).amin(1, keepdim=True)
    last = torch.where(inside, reached, -infinity).amax(1, keepdim=True)
    left = torch.zeros(channels, 1, dtype=torch.float64)
    right = 2.0 * steps / (last - first).clamp_min(1.0).nan_to_num(1.0, 1.0, 1.0)
    for _ in range(_STEPS):  # the room between the ends is a concave function of the slope
        one, other = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        rooms = [high - low for low, high in map(ends, (one, other))]
        worse = rooms[0] < rooms[1]
        left, right = torch.where(worse, one, left), torch.where(worse, right, other)
    slope = (left + right) / 2
    low, high = ends(slope)
    low, high = torch.where(low.isinf(), high - 1, low), torch.where(high.isinf(), low + 1, high)
    offset = (low + high) / 2
    right_at = ((reached * slope + offset).floor() >= levels) | (reached > bound)
    right_below = ((before * slope + offset).floor() < levels) | (before < -bound)
    return (slope.flatten(), offset.flatten()) if bool((right_at & right_below).all()) else None
