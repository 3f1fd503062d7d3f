"""Pieces of work that plan reductions: what fits a budget, and the ways to the next smaller network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Architecture
from nasplug_reduction.budgets import between
from nasplug_reduction.decisions import KERNEL, OPERATOR
from nasplug_reduction.layout import WIDTH
from nasplug_reduction.pricing import Pricer, absolute

if TYPE_CHECKING:
    from nasplug.evaluate.workrun import WorkRun
    from nasplug_reduction.space import ReductionSpace

#: Halvings of the common width when the uniform network of a budget is looked for.
_HALVINGS = 14
#: Beginnings of the names of choices that give weights of one convolution away.
OF_WEIGHTS = (KERNEL, OPERATOR)


def survey(run: WorkRun, keep: Mapping[str, float], at_most: Mapping[str, float], sizes: int = 1) -> dict[str, Json]:
    """Finds out what a budget means for a network.

    Args:
        run: The work.
        keep: Shares of the original network by cost.
        at_most: Largest values by cost.
        sizes: Number of uniform networks on the way to the budget, the last of which keeps to it.

    Returns:
        `limits`, costs of the `original` and the `smallest` network, and vectors of the `uniform` networks.
    """
    space = reduction_of(run.space)
    pricer = Pricer(space, run.target, [*keep, *at_most])
    limits, original, smallest = absolute(pricer, keep, at_most)
    found = []
    for step in range(1, sizes + 1):
        run.progress((step - 1) / sizes)
        found.append(uniform(pricer, between(original, limits, step / sizes)))
    return {
        "limits": dict(limits),
        "original": dict(original),
        "smallest": dict(smallest),
        "uniform": [list(space.vector(each)) for each in found],
    }


def ways(run: WorkRun, vector: Sequence[int], limits: Mapping[str, float], most: int) -> dict[str, Json]:
    """Finds the networks that get below the next limits by shrinking one group, or passing by one block.

    Source: NetAdapt (Yang et al., ECCV 2018, arXiv 1804.03230), algorithm 1. Where no group alone gets there, each is
    shrunk as far as it goes.

    Args:
        run: The work.
        vector: Present network, as indices of options.
        limits: Limits of the next network.
        most: Largest number of answers; those that lose the least important channels.

    Returns:
        `reached`, whether the present network keeps to the limits; `vectors`, those that lose least first.
    """
    space = reduction_of(run.space)
    pricer = Pricer(space, run.target, limits)
    if pricer.within(space.from_vector(vector), limits):
        return {"reached": True, "vectors": []}
    now = space.from_vector(vector)
    found: list[tuple[bool, float, list[int]]] = []
    for position, choice in enumerate(space.choices):
        run.progress(position / len(space.choices))
        if not vector[position] or not space.decides(position, now):
            continue
        low, high = 0, int(vector[position]) - 1

        def at(index: int, position: int = position) -> list[int]:
            return [*vector[:position], index, *vector[position + 1 :]]

        reaches = pricer.within(space.from_vector(at(0)), limits)
        while reaches and low < high:  # the widest that fits
            middle = (low + high + 1) // 2
            if pricer.within(space.from_vector(at(middle)), limits):
                low = middle
            else:
                high = middle - 1
        found.append((not reaches, lost(space, choice.name, vector[position], low), at(low)))
    found.sort(key=lambda each: each[:2])
    return {"reached": False, "vectors": cast("Json", [vector for _, _, vector in found[:most]])}


def uniform(pricer: Pricer, limits: Mapping[str, float]) -> Architecture:
    """Returns the network whose groups all have about the same share of their width, as wide as limits allow.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.

    Raises:
        SpecError: Even the narrowest network with all blocks costs more.
    """
    space = pricer.space
    low, high = 0.0, 1.0
    if not pricer.within(_scaled(space, low), limits):
        raise SpecError(
            "narrower channels alone do not reach the budget",
            where="reduction, uniform",
            why="all blocks stay in the uniform network, with each width at its least",
            fix="keep more, or allow narrower widths: widths: {least: 1} of the space, --least 1 of the command",
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if pricer.within(_scaled(space, middle), limits):
            low = middle
        else:
            high = middle
    vector = list(space.vector(_scaled(space, low)))
    for position in range(len(space.groups)):  # rounding down left some room
        wider = [*vector[:position], vector[position] + 1, *vector[position + 1 :]]
        options = space.choices[position].options
        assert isinstance(options, tuple)
        if wider[position] < len(options) and pricer.within(space.from_vector(wider), limits):
            vector = wider
    return space.from_vector(vector)


def lost(space: ReductionSpace, choice: str, before: float, after: float) -> float:
    """Part of a group's importance, or of a convolution's weights, that a step gives away; 1 for a whole block."""
    group = choice.partition(":")[2]
    if not choice.startswith(WIDTH):
        return (
            space.lost(choice, int(after)) - space.lost(choice, int(before)) if choice.startswith(OF_WEIGHTS) else 1.0
        )
    if group not in space.scores:
        return 1.0
    position = space.groups.index(group)
    options = space.choices[position].options
    assert isinstance(options, tuple)
    ranked = space.scores[group]
    return float(ranked[options[int(after)] : options[int(before)]].sum() / max(float(ranked.sum()), 1e-30))


def reduction_of(space: object) -> ReductionSpace:
    """Returns the reduction space of a run, also where hyperparameters stand around it.

    Raises:
        SpecError: It has another one.
    """
    from nasplug_reduction.space import ReductionSpace

    found = space if isinstance(space, ReductionSpace) else getattr(space, "inner", None)
    if not isinstance(found, ReductionSpace):
        raise SpecError("needs the space `reduction`", where="reduction", fix="write `space: {reduction: {...}}`")
    return found


def _scaled(space: ReductionSpace, share: float) -> Architecture:
    vector = []
    for choice in space.choices:
        options = choice.options
        assert isinstance(options, tuple)
        widths = [width for width in options if isinstance(width, int)]
        if not choice.name.startswith(WIDTH):  # blocks, kernels, operators and resolution stay
            vector.append(len(options) - 1)
            continue
        fitting = [index for index, width in enumerate(widths) if width <= share * widths[-1] + 1e-9]
        vector.append(max(fitting, default=0))
    return space.from_vector(vector)
