"""Courses of the learning rate, as factors of a training's progress; needs no torch.

They are closed forms and not `torch.optim.lr_scheduler.CosineAnnealingLR` or `OneCycleLR`, although their values are
the same: those keep the length of the training in their state and compute each rate from the one before. A training
that continues with a larger budget, as in successive halving, would then rise again after its old end, or be refused.
"""

from __future__ import annotations

import math

#: Fraction of the steps in which `onecycle` rises, and the divisors of its first and last rate (Smith and Topin, arXiv
#: 1708.07120, with the values of torch's OneCycleLR).
_RISE, _FIRST, _LAST = 0.3, 25.0, 25.0 * 1e4


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, arXiv 1608.03983, without restarts).

    Args:
        progress: Fraction of the steps that are done, 0 to 1.
    """
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def onecycle(progress: float) -> float:
    """From 1/25 up to 1 in the first 30 %, then down to nearly 0, both on half cosines.

    Args:
        progress: Fraction of the steps that are done, 0 to 1.
    """
    if progress < _RISE:
        return 1.0 + (1.0 / _FIRST - 1.0) * cosine(progress / _RISE)
    return 1.0 / _LAST + (1.0 - 1.0 / _LAST) * cosine((progress - _RISE) / (1.0 - _RISE))
