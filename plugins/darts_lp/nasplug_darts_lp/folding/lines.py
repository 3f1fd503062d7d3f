"""Many integer thresholds as one multiplication and one sum, where they lie on a line.

Behind scale, bias and normalisation, the levels of a uniform quantiser are reached at evenly spaced accumulators. The
number of levels that an accumulator `s` reaches is then `floor(s m + b)`, between the fewest and the most that a
channel can reach (a ReLU6 may end below the last level), in place of 2^bits - 1 thresholds. A product, a sum and a
rounding down are monotone also in floating point, so that a line that is right at every threshold and one below it is
right at every accumulator.

The inference that is folded rounds to single precision on its way, which moves some thresholds by one accumulator. Such
accumulators are exceptions: a few for each channel, listed with what the line lacks there. Everywhere else the line is
right, and with them it is right everywhere. A channel with too many of them is bent, and keeps its thresholds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Fewer thresholds than these are stored as they are.
FEWEST = 15
#: Most exceptions of a channel; a channel with more keeps its thresholds.
MOST = 4
#: Accumulators below and above a threshold that may be exceptions.
_AROUND = (-2, -1, 0, 1)
_GOLDEN = 0.6180339887498949
_STEPS = 90
#: How often thresholds that no line goes with are left out of a channel's line, two at most each time.
_TRIES = 4


class Line(NamedTuple):
    """A line for each of C channels: `floor(s m + b)` between two ends, plus the step where s is an exception.

    Attributes:
        slope: m, float64 (C,).
        offset: b, float64 (C,).
        low: Number of levels that every accumulator reaches, int16 (C,).
        high: Number of levels that some accumulator reaches, int16 (C,).
        at: Accumulators that are exceptions, int32 (C, E), 0 with a step of 0 in the places that a channel does not
            need; E may be 0.
        step: Number of levels to add there, int8 (C, E).
        bent: Channels that do not have a line, bool (C,). What the others say is right at every accumulator.
    """

    slope: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor
    at: Tensor
    step: Tensor
    bent: Tensor


@torch.no_grad()
def line_through(thresholds: Tensor, bound: int) -> Line | None:
    """A line for each channel that gives the same number of reached levels for every accumulator.

    Args:
        thresholds: (C, L), int32, ascending; `bound` + 1 where no accumulator reaches a level.
        bound: No accumulator is larger in magnitude.

    Returns:
        Lines and their exceptions. None if there are few thresholds, or more than half of the channels are bent.
    """
    channels, steps = thresholds.shape
    if steps < FEWEST:
        return None
    inside = (thresholds > -bound) & (thresholds <= bound)
    low, high = ((thresholds <= end).sum(1) for end in (-bound, bound))
    slope, offset = torch.zeros(channels, 1, dtype=torch.float64), low[:, None].double() + 0.5
    wanted, used = inside.any(1).nonzero().flatten(), inside.clone()
    for _ in range(_TRIES):
        slope[wanted], offset[wanted], worst = _fit(thresholds[wanted].double(), used[wanted])
        wrong = worst.any(1)
        wanted = wanted[wrong]
        if not len(wanted):
            break
        used[wanted] &= ~worst[wrong]
    at, step, bent = _exceptions(thresholds.to(torch.int64), bound, slope, offset, low, high)
    if 2 * int(bent.sum()) > channels:
        return None
    ends = (low.to(torch.int16), high.to(torch.int16))
    return Line(slope.flatten(), offset.flatten(), *ends, at, step, bent)


def _fit(thresholds: Tensor, used: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes and offsets (C, 1) with the most room at all used thresholds, and which (C, L) stand in the way of any."""
    levels = torch.arange(1, thresholds.shape[1] + 1, dtype=torch.float64)
    infinity = torch.tensor(float("inf"), dtype=torch.float64)

    def ends(slope: Tensor) -> tuple[Tensor, Tensor]:
        """What each threshold says of the offset: from where on it is right, and below where."""
        from_ = torch.where(used, levels - thresholds * slope, -infinity)
        return from_, torch.where(used, levels - (thresholds - 1) * slope, infinity)

    first = torch.where(used, thresholds, infinity).amin(1, keepdim=True)
    last = torch.where(used, thresholds, -infinity).amax(1, keepdim=True)
    left = torch.zeros_like(first)
    right = 2.0 * used.sum(1, keepdim=True) / (last - first).clamp_min(1.0).nan_to_num(1.0, 1.0, 1.0)
    for _ in range(_STEPS):  # the room between the ends is a concave function of the slope
        one, other = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        rooms = [below.amin(1, keepdim=True) - from_.amax(1, keepdim=True) for from_, below in map(ends, (one, other))]
        worse = rooms[0] < rooms[1]
        left, right = torch.where(worse, one, left), torch.where(worse, right, other)
    slope = (left + right) / 2
    from_, below = ends(slope)
    start, end = from_.amax(1, keepdim=True), below.amin(1, keepdim=True)
    return slope, (start + end) / 2, used & (start >= end) & ((from_ == start) | (below == end))


def _exceptions(
    thresholds: Tensor, bound: int, slope: Tensor, offset: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Accumulators (C, E) where a line is wrong, what it lacks there, and channels (C,) with too many of them."""
    channels = len(thresholds)

    def lack(sums: Tensor) -> Tensor:
        reached = torch.searchsorted(thresholds, sums.contiguous(), right=True)
        line = (sums * slope + offset).floor().clamp(low[:, None].double(), high[:, None].double())
        return reached - line.to(torch.int64)

    # Between two windows the number of levels is constant and the line is monotone, so that their ends say all of it.
    outer = torch.tensor([-bound, bound]).expand(channels, 2)
    ends = torch.cat([thresholds + _AROUND[0], thresholds + _AROUND[-1], outer], 1).clamp(-bound, bound)
    near = (thresholds[:, :, None] + torch.tensor(_AROUND)).flatten(1).clamp(-bound, bound).sort(1).values
    lacks = lack(near)
    lacks[:, 1:][near[:, 1:] == near[:, :-1]] = 0  # each accumulator once
    bent = (lack(ends) != 0).any(1) | ((lacks != 0).sum(1) > MOST)
    lacks[bent] = 0
    most = int((lacks != 0).sum(1).max())
    order = (lacks == 0).to(torch.int8).argsort(dim=1, stable=True)[:, :most]
    step = lacks.gather(1, order)
    at = torch.where(step == 0, 0, near.gather(1, order))
    return at.to(torch.int32), step.to(torch.int8), bent
