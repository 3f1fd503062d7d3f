"""The range of a staircase that fits given numbers best."""

from __future__ import annotations

import torch
from torch import Tensor

#: Numbers that are looked at; more change nothing that matters.
_SAMPLE = 2**15
_CANDIDATES = 64


@torch.no_grad()
def best_range(values: Tensor, steps: int, zero_threshold: Tensor, zero_level: Tensor) -> Tensor:
    """The range R = `steps` * d whose staircase has the least squared error, out of 64 in equal ratios.

    A staircase that does not approximate its input (thresholds around zero, levels from zero on) is measured against
    the input without its negative part.

    Args:
        values: Any shape.
        steps: Number of steps.
        zero_threshold: Level that is met at input 0, ().
        zero_level: Level that stands for output 0, ().

    Returns:
        (), positive.
    """
    sample = values.flatten()
    sample = sample[:: max(1, sample.numel() // _SAMPLE)]
    largest = sample.abs().max()
    largest = torch.where(largest > 0, largest, 1.0)
    # A signed staircase reaches to both sides: twice the largest magnitude; a signed bit has only one step between.
    ratios = torch.logspace(-2.5, 0.5, _CANDIDATES, device=values.device)
    ranges = largest * ratios
    step = (ranges / steps)[:, None]
    level = (sample / step + zero_threshold + 0.5).floor().clamp(0, steps)
    wanted = torch.where(zero_threshold == zero_level, sample, sample.clamp(min=0))
    errors = (step * (level - zero_level) - wanted).square().mean(1)
    return ranges[errors.argmin()]
