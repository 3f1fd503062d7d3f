"""Work that finds out which layer to shrink next, and what is left to do where no layer can lose more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from nasplug.contract.jsondata import Json
from nasplug_reduction.breeding import fitting
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.pricing import Pricer

if TYPE_CHECKING:
    from nasplug.evaluate.workrun import WorkRun


def shares(run: WorkRun, vector: Sequence[int], limits: Mapping[str, float]) -> dict[str, Json] | None:
    """Finds out which part of a network belongs to each of its choices.

    What the channels of a group touch counts, which in a chain of layers is the layer that makes them and the one that
    reads them; for a block, all of it.

    Args:
        run: The work.
        vector: Present network, as indices of options.
        limits: Limits by cost.

    Returns:
        None if the network keeps to the limits; otherwise shares of the channels, the parameters and the
        multiply-accumulates by name of the choice. Choices that are at their least, or inside of a block that is
        passed by, are not there.
    """
    space = reduction_of(run.space)
    now = space.from_vector(vector)
    if Pricer(space, run.target, limits).within(now, limits):
        return None
    pricer = Pricer(space, None, ["params", "macs"])
    whole, widths = pricer.price(now), space.widths(now)
    found: dict[str, Json] = {}
    for position, choice in enumerate(space.choices):
        run.progress(position / len(space.choices))
        group = position < len(space.groups)
        if not vector[position] or not space.decides(position, now):
            continue
        least = space.from_vector([*vector[:position], 0, *vector[position + 1 :]])
        less, part, channels = pricer.price(least), 1.0, 0
        if group:
            options = cast("tuple[int, ...]", choice.options)
            channels = options[int(vector[position])]
            part = channels / (channels - options[0])
        found[choice.name] = {
            "channels": channels / max(sum(widths.values()), 1),
            **{name: min(1.0, part * (whole[name] - less[name]) / whole[name]) for name in ("params", "macs")},
        }
    return found


def scaled(run: WorkRun, vector: Sequence[int], limits: Mapping[str, float]) -> list[Json] | None:
    """Makes the widest network with the proportions of another one that keeps to limits.

    Args:
        run: The work.
        vector: The other network, as indices of options.
        limits: Limits by cost.

    Returns:
        Its vector; None if no network of these proportions keeps to them.
    """
    space = reduction_of(run.space)
    groups = len(space.groups)
    options = [cast("tuple[int, ...]", choice.options) for choice in space.choices[:groups]]
    widths = [each[int(index)] / each[-1] for each, index in zip(options, vector, strict=False)]
    pricer = Pricer(space, run.target, limits)
    kept = [int(index) for index in vector[groups:]]
    found = fitting(pricer, limits, np.array(widths), kept) if groups else None
    return None if found is None else cast("list[Json]", list(space.vector(found)))
