"""Variation around survivors by what the distributions have learned: an extension of Q-NAS."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray

Sampling: TypeAlias = Literal["distributions", "anchored"]


def anchored(
    survivor: IntArray, probabilities: FloatArray, variable: BoolArray, mean: float, rng: np.random.Generator
) -> IntArray:
    """Redraws 1 + Poisson(`mean`) genes of a survivor, each from its distribution without the present option.

    Args:
        survivor: Genes of the survivor, (L,).
        probabilities: Distributions of one quantum individual, (L, K), padded with zeros.
        variable: Genes with more than one option, (L,).
        mean: Mean number of redrawn genes beyond the first one.
        rng: Source of randomness.

    Returns:
        Genes (L,). A gene whose distribution is certain of the present option keeps it.
    """
    genes = survivor.copy()
    places = np.flatnonzero(variable)
    if not len(places):
        return genes
    count = min(1 + int(rng.poisson(mean)), len(places))
    for place in rng.choice(places, count, replace=False):
        others = probabilities[place].copy()
        others[genes[place]] = 0.0
        total = others.sum()
        if total > 0:
            genes[place] = rng.choice(len(others), p=others / total)
    return genes
