"""Seeded, stratified ways to hold images out and to take fewer of them. Indices only, always sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural

Indices = NDArray[np.int64]

#: Seed of every test part that is cut from training data: the same images for every study, so that no seed of a
#: search can move a test image into its training.
TEST_SEED = 1797


def stratified_split(labels: NDArray[np.generic], fraction: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Divides positions into a rest and a held-out part with (nearly) equal class shares.

    The held-out part has `round(fraction * N)` positions where the classes allow it: shares are rounded by largest
    remainder, and no class loses its last image to the held-out part.

    Args:
        labels: Integer labels (N,).
        fraction: Size of the held-out part, between 0 and 1, both excluded.
        rng: Source of randomness.

    Returns:
        Positions of the rest and of the held-out part, each sorted.

    Raises:
        DataError: The fraction is out of range, or so small or large that one part would be empty.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"the fraction to hold out is {fraction}, not between 0 and 1", where="split")
    values, counts = np.unique(labels, return_counts=True)
    shares = counts * fraction
    quotas = np.floor(shares).astype(np.int64)
    # Classes by falling remainder; the sort is stable, so equal remainders go by class number.
    for position in np.argsort(quotas - shares, kind="stable"):
        if quotas.sum() >= round(fraction * len(labels)):
            break
        quotas[position] += 1
    quotas = np.minimum(quotas, counts - 1)
    held = _draw(labels, values, quotas, rng)
    rest = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
    if not len(held) or not len(rest):
        raise DataError(
            f"holding out {fraction:g} of {plural(len(labels), 'image')} leaves {len(rest)} and {len(held)}",
            where="split",
            fix="use more images or another fraction",
        )
    return rest, held


def balanced_subset(labels: NDArray[np.generic], size: int, rng: np.random.Generator) -> Indices:
    """Draws `size` positions with classes as equal in number as the data allow.

    A class with fewer images than its share gives all it has, and the others fill up.

    Args:
        labels: Integer labels (N,).
        size: Number of positions to draw; N or more returns all.
        rng: Source of randomness.

    Raises:
        DataError: `size` is smaller than the number of classes.
    """
    values, counts = np.unique(labels, return_counts=True)
    if size >= len(labels):
        return np.arange(len(labels))
    if size < len(values):
        raise DataError(
            f"a limit of {plural(size, 'image')} is below the number of classes, {len(values)}", where="limit"
        )
    quotas = np.zeros_like(counts)
    while (missing := size - int(quotas.sum())) > 0:
        open_classes = np.flatnonzero(quotas < counts)
        share, extra = divmod(missing, len(open_classes))
        quotas[open_classes] += share
        quotas[rng.permutation(open_classes)[:extra]] += 1
        quotas = np.minimum(quotas, counts)
    return _draw(labels, values, quotas, rng)


def _draw(
    labels: NDArray[np.generic], values: NDArray[np.generic], quotas: NDArray[np.int64], rng: np.random.Generator
) -> Indices:
    """Draws `quotas[k]` positions of class `values[k]` for every k; sorted."""
    drawn = [
        rng.permutation(np.flatnonzero(labels == value))[:quota] for value, quota in zip(values, quotas, strict=True)
    ]
    return np.sort(np.concatenate(drawn)).astype(np.int64)
