"""Widths under limits by the damage that narrowing does: a Lagrangian allocation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from nasplug_reduction.layout import BLOCK, WIDTH

if TYPE_CHECKING:
    from nasplug.contract.records import Architecture
    from nasplug_reduction.pricing import Pricer

#: Number of times that prices are raised where a limit is exceeded, and lowered where it is not used up.
_ROUNDS = 30
#: How much of a layer's deviation from the mean sensitivity counts; few batches say it with noise.
_TRUST = 0.5
#: What choices save of every cost: by how much its logarithm falls.
Savings: TypeAlias = "Mapping[str, Mapping[str, float]]"


def scale(cuts: Sequence[tuple[float, float]]) -> float:
    """Fits the damage of narrowing a layer, `scale * depth ** 2`, by least squares.

    Args:
        cuts: Pairs of a depth, the logarithm of the factor that the width loses, and a damage >= 0.
    """
    return sum(damage * depth**2 for depth, damage in cuts) / sum(depth**4 for depth, _ in cuts)


def pooled(scales: Mapping[str, float]) -> dict[str, float]:
    """Draws scales towards their geometric mean, and so what seems not to matter at all.

    Args:
        scales: Scales by choice.
    """
    if not scales:
        return {}
    floor = max(1e-6, 0.02 * max(scales.values()))
    logs = {name: math.log(max(value, floor)) for name, value in scales.items()}
    mean = float(np.mean(list(logs.values())))
    return {name: math.exp(mean + _TRUST * (value - mean)) for name, value in logs.items()}


def allocated(
    pricer: Pricer,
    limits: Mapping[str, float],
    scales: Mapping[str, float],
    blocks: Mapping[str, float],
    start: Architecture,
) -> Architecture:
    """Returns a network that keeps to limits with a small sum of damages.

    Prices of the costs decide about every layer by itself: it is narrowed until a further cut would do more damage than
    it saves, and a block whose damage is less than what it saves is passed by. Prices follow the limits by dual ascent,
    and what layers save is measured anew where widths have changed. Lagrangian relaxation of an allocation of
    resources: Everett, Operations Research 11 (1963) 399.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        scales: Scale of the damage by choice of a width.
        blocks: Damage by choice of a block.
        start: Network that keeps to the limits, which is returned if no other is better.
    """
    best, least = start, damage(pricer, scales, blocks, start)
    prices = dict.fromkeys(limits, 1.0 / len(limits))
    saved = savings(pricer, limits, start)
    now = start
    for turn in range(_ROUNDS):
        if turn in (_ROUNDS // 3, 2 * _ROUNDS // 3):
            saved = savings(pricer, limits, now)
        now = priced(pricer, prices, saved, scales, blocks)
        loads = {name: pricer.price(now)[name] / limit for name, limit in limits.items()}
        if max(loads.values()) <= 1:
            wider = filled(pricer, limits, now)
            found = damage(pricer, scales, blocks, wider)
            if found < least:
                best, least = wider, found
        step = 2.0 / (1 + turn / 4)
        prices = {name: min(max(price * loads[name] ** step, 1e-9), 1e9) for name, price in prices.items()}
    return best


def priced(
    pricer: Pricer,
    prices: Mapping[str, float],
    saved: Savings,
    scales: Mapping[str, float],
    blocks: Mapping[str, float],
) -> Architecture:
    """Returns the network that every choice makes best for itself at prices of the costs.

    Args:
        pricer: Prices of networks.
        prices: Price of a unit of the logarithm of every cost.
        saved: Savings of the choices.
        scales: Scale of the damage by choice of a width.
        blocks: Damage by choice of a block.
    """
    vector = []
    for choice in pricer.space.choices:
        gain = sum(price * max(saved[choice.name][name], 0.0) for name, price in prices.items())
        if choice.name in blocks:
            vector.append(int(blocks[choice.name] >= gain))
            continue
        options = cast("tuple[int, ...]", choice.options)
        width = options[-1] * math.exp(-min(gain / (2 * scales[choice.name]), 20.0)) * (1 + 1e-9)
        vector.append(max((index for index, option in enumerate(options) if option <= width), default=0))
    return pricer.space.from_vector(vector)


def savings(pricer: Pricer, limits: Mapping[str, float], around: Architecture) -> Savings:
    """Measures what a unit of depth of every layer saves, and what passing by each block does.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        around: Network where it is measured.
    """
    space = pricer.space
    vector = [int(index) for index in space.vector(around)]
    found: dict[str, dict[str, float]] = {}
    for position, choice in enumerate(space.choices):
        options = choice.options
        assert isinstance(options, tuple)
        upper = max(vector[position], 1)
        more, less = (
            pricer.price(space.from_vector([*vector[:position], index, *vector[position + 1 :]]))
            for index in (upper, upper - 1)
        )
        unit = math.log(options[upper] / options[upper - 1]) if isinstance(options[upper], int) else 1.0  # type: ignore[operator]
        found[choice.name] = {name: math.log(more[name] / less[name]) / unit for name in limits}
    return found


def damage(pricer: Pricer, scales: Mapping[str, float], blocks: Mapping[str, float], network: Architecture) -> float:
    """Sum of the damages of all cuts of a network.

    Args:
        pricer: Prices of networks.
        scales: Scale of the damage by choice of a width.
        blocks: Damage by choice of a block.
        network: The network.
    """
    space = pricer.space
    gone = space.dropped(network.genotype)
    total = sum(blocks[f"{BLOCK}{path}"] for path in gone)
    for name, width in space.widths(network).items():  # layers inside of what is passed by do not count
        total += scales[f"{WIDTH}{name}"] * math.log(space.layout.groups[name].size / width) ** 2
    return total


def filled(pricer: Pricer, limits: Mapping[str, float], network: Architecture) -> Architecture:
    """Returns a network whose groups are wider by one option each, wherever limits allow it, the last ones first.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        network: Network that keeps to them.
    """
    space = pricer.space
    vector = [int(index) for index in space.vector(network)]
    for position in reversed(range(len(space.groups))):
        wider = [*vector[:position], vector[position] + 1, *vector[position + 1 :]]
        options = space.choices[position].options
        assert isinstance(options, tuple)
        if wider[position] < len(options) and pricer.within(space.from_vector(wider), limits):
            vector = wider
    return space.from_vector(vector)
