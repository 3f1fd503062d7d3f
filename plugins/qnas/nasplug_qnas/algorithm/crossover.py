"""Recombination of freshly observed individuals with survivors of earlier generations."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from nasplug_qnas.algorithm.arrays import BoolArray, FloatArray, IntArray, check_fraction

GeneCrossover: TypeAlias = Literal["none", "uniform", "hux"]


def numeric_crossover(
    new: FloatArray,
    old: FloatArray,
    intensity: float,
    rng: np.random.Generator,
    *,
    rate: float,
    usable: BoolArray | None = None,
) -> FloatArray:
    """Moves each new value, with probability `rate`, the fraction `intensity` of the way to its survivor's.

    Args:
        new: Observed inner values (N, H).
        old: Inner values (N, H) of the survivors in order of rank; row i is the mate of new individual i.
        intensity: r of this generation, one number for the whole population.
        rng: Source of randomness; (N, H) uniform numbers are drawn.
        rate: Probability that a value is recombined.
        usable: Mates that were measured, boolean (N,); a mate that failed is not copied from. All by default.

    Returns:
        Recombined values (N, H).
    """
    check_fraction("crossover_rate", rate)
    selected = rng.random(new.shape) < rate
    if usable is not None:
        selected &= usable[:, None]
    return np.where(selected, new + intensity * (old - new), new)


def gene_crossover(
    new: IntArray,
    old: IntArray,
    kind: GeneCrossover,
    rng: np.random.Generator,
    *,
    rate: float,
    usable: BoolArray | None = None,
) -> IntArray:
    """Lets new architectures take genes of survivors. Published Q-NAS has none (`kind="none"`).

    `"uniform"` takes each gene of the mate with probability 1/2. `"hux"` (half uniform crossover; Eshelman, "The
    CHC adaptive search algorithm", FOGA 1991) takes a random half, rounded down, of the genes in which the two differ.

    Args:
        new: Observed genes (N, L).
        old: Genes (N, L) of the survivors in order of rank; row i is the mate of new individual i.
        kind: Operator, or `"none"`, which draws nothing.
        rng: Source of randomness; N uniform numbers, then (N, L).
        rate: Probability that an individual is recombined.
        usable: Mates that were measured, boolean (N,). All by default.

    Returns:
        Recombined genes (N, L).

    Raises:
        ValueError: If `kind` is unknown.
    """
    if kind == "none":
        return new
    check_fraction("gene_crossover_rate", rate)
    crossed = rng.random(len(new)) < rate
    if usable is not None:
        crossed &= usable
    keys = rng.random(new.shape)
    if kind == "uniform":
        take = keys < 0.5
    elif kind == "hux":
        # The genes that differ get distinct ranks 0, 1, ... in random order; the first half of the ranks is taken.
        differ = new != old
        ranks = np.argsort(np.argsort(np.where(differ, keys, 2.0), axis=1, kind="stable"), axis=1, kind="stable")
        take = differ & (ranks < differ.sum(axis=1, keepdims=True) // 2)
    else:
        raise ValueError(f"Q-NAS: gene_crossover must be 'none', 'uniform' or 'hux', got {kind!r}.")
    return np.where(take & crossed[:, None], old, new)
