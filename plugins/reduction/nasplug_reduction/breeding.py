"""Work that makes networks which use up a budget: at random, and near others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nasplug.contract.jsondata import Json
from nasplug.contract.records import Architecture
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.pricing import Pricer

if TYPE_CHECKING:
    from nasplug.evaluate.workrun import WorkRun
    from nasplug_reduction.space import ReductionSpace

#: Halvings of the common factor of a network that has to meet its limits.
_HALVINGS = 9
_DRAWS = 30


def breed(
    run: WorkRun, parents: Sequence[Sequence[int]], limits: Mapping[str, float], count: int, taken: Sequence[str]
) -> list[Json]:
    """Makes new networks as wide as limits allow.

    The shares of widths are drawn around those of a parent, or at random without one, and scaled together until the
    limits are met.

    Args:
        run: The work.
        parents: Vectors of the parents; none for random networks.
        limits: Limits by cost.
        count: Number of networks.
        taken: Keys of networks that are known already.

    Returns:
        Vectors.
    """
    space, rng = reduction_of(run.space), run.rng("breed")
    pricer, seen, found = Pricer(space, run.target, limits), set(taken), list[list[float]]()
    for _ in range(_DRAWS * count):
        run.progress(len(found) / count)
        if len(found) == count:
            break
        shares, kept = _genes(space, parents, rng)
        child = fitting(pricer, limits, shares, kept)
        if child is not None and child.key not in seen:
            seen.add(child.key)
            found.append(list(space.vector(child)))
    return cast("list[Json]", found)


def _genes(space: ReductionSpace, parents: Sequence[Sequence[int]], rng: Any) -> tuple[npt.NDArray[Any], list[int]]:
    """Shares of the widths, and indices of the options of all other choices."""
    groups = len(space.groups)
    counts = [len(cast("tuple[object, ...]", choice.options)) for choice in space.choices[groups:]]
    if not parents:
        shares, stay = np.exp(rng.normal(0, 0.4, groups)), rng.random(len(counts)) > 0.15
        return shares, [n - 1 if kept else int(rng.integers(n - 1)) for n, kept in zip(counts, stay, strict=True)]
    first, second = (parents[int(rng.integers(len(parents)))] for _ in range(2))
    cross = rng.random(groups + len(counts)) < 0.5
    vector = [int(a if take else b) for a, b, take in zip(first, second, cross, strict=True)]
    sizes = [cast("tuple[int, ...]", choice.options) for choice in space.choices[:groups]]
    shares = np.array([options[index] / options[-1] for options, index in zip(sizes, vector, strict=False)])
    changed = rng.random(groups) < max(0.2, 1 / max(groups, 1))
    shares = shares * np.exp(np.where(changed, rng.normal(0, 0.4, groups), 0))
    others = zip(vector[groups:], counts, strict=True)
    kept = [index if rng.random() > 0.05 else (index + 1 + int(rng.integers(n - 1))) % n for index, n in others]
    return shares, kept


def fitting(
    pricer: Pricer, limits: Mapping[str, float], shares: npt.NDArray[Any], kept: Sequence[int]
) -> Architecture | None:
    """Returns the widest network with widths in these proportions that keeps to limits; None if none does.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        shares: Proportions of the widths of the groups.
        kept: Indices of the options of all choices that are not widths.
    """
    space = pricer.space

    def scaled(factor: float) -> Architecture:
        vector = []
        for share, choice in zip(shares, space.choices, strict=False):
            options = cast("tuple[int, ...]", choice.options)
            fits = [index for index, width in enumerate(options) if width <= factor * share * options[-1] + 1e-9]
            vector.append(max(fits, default=0))
        return space.from_vector([*vector, *kept])

    low, high = 0.0, 1.0 / float(shares.min())
    if not pricer.within(scaled(low), limits):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if pricer.within(scaled(middle), limits):
            low = middle
        else:
            high = middle
    return scaled(low)
