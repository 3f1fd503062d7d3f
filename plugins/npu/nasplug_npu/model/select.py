"""Choosing between arrays element by element, without a branch for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasplug_npu.model.rows import Array, Mask


def select(mask: Mask, ones: Sequence[Array], others: Sequence[Array]) -> tuple[Array, ...]:
    """As `np.where` of each pair, bit for bit; several times as fast where the mask is irregular.

    Args:
        mask: Mask that is true where the first of a pair is taken.
        ones: Arrays that broadcast with the mask.
        others: Second arrays, as many as first ones.
    """
    bits = -mask.astype(np.int64)
    found = []
    for one, other in zip(ones, others, strict=True):
        if one is other:
            found.append(one)
            continue
        below = other.view(np.int64)
        chosen = (one.view(np.int64) ^ below) & bits
        chosen ^= below
        found.append(chosen.view(np.float64))
    return tuple(found)
