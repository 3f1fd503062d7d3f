"""Widths under limits by the damage that narrowing does: a Lagrangian allocation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from nasplug_reduction.layout import WIDTH

if TYPE_CHECKING:
    from nasplug.contract.records import Architecture
    from nasplug_reduction.pricing import Pricer

#: Number of times that prices are raised where a limit is exceeded, and lowered where it is not used up.
_ROUNDS = 30
#: How much of a layer's deviation from the mean sensitivity counts; few batches say it with noise.
_TRUST = 0.5
#: What choices save of every cost: by how much its logarithm falls, for a unit of depth of a width, and for every
#: option of another choice.
Savings: TypeAlias = "Mapping[str, Mapping[str, Sequence[float]]]"
#: Damages by choice that is not a width, one for every option but the last, which is the original.
Damages: TypeAlias = "Mapping[str, Sequence[float]]"


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
    others: Damages,
    start: Architecture,
) -> Architecture:
    """Returns a network that keeps to limits with a small sum of damages.

    Prices of the costs decide about every layer by itself: it is narrowed until a further cut would do more damage than
    it saves, and of blocks, operators and the resolution the option that saves most beyond its damage is taken. Prices
    follow the limits by dual ascent, and what layers save is measured anew where widths have changed. Lagrangian
    relaxation of an allocation of resources: Everett, Operations Research 11 (1963) 399.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        scales: Scale of the damage by choice of a width.
        others: Damages by choice that is not a width.
        start: Network that keeps to the limits, which is returned if no other is better.
    """
    best, least = start, damage(pricer, scales, others, start)
    prices = dict.fromkeys(limits, 1.0 / len(limits))
    saved = savings(pricer, limits, start)
    now = start
    for turn in range(_ROUNDS):
        if turn in (_ROUNDS // 3, 2 * _ROUNDS // 3):
            saved = savings(pricer, limits, now)
        now = priced(pricer, prices, saved, scales, others)
        loads = {name: pricer.price(now)[name] / limit for name, limit in limits.items()}
        if max(loads.values()) <= 1:
            wider = filled(pricer, limits, now)
            found = damage(pricer, scales, others, wider)
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
    others: Damages,
) -> Architecture:
    """Returns the network that every choice makes best for itself at prices of the costs.

    Args:
        pricer: Prices of networks.
        prices: Price of a unit of the logarithm of every cost.
        saved: Savings of the choices.
        scales: Scale of the damage by choice of a width.
        others: Damages by choice that is not a width.
    """
    vector = []
    for choice in pricer.space.choices:
        gains = [
            sum(price * max(saved[choice.name][name][index], 0.0) for name, price in prices.items())
            for index in range(len(next(iter(saved[choice.name].values()))))
        ]
        if choice.name in others:
            losses = [*(harm - gain for harm, gain in zip(others[choice.name], gains, strict=True)), 0.0]
            vector.append(max(range(len(losses)), key=lambda index: (-losses[index], index)))
            continue
        (gain,) = gains
        options = cast("tuple[int, ...]", choice.options)
        width = options[-1] * math.exp(-min(gain / (2 * scales[choice.name]), 20.0)) * (1 + 1e-9)
        vector.append(max((index for index, option in enumerate(options) if option <= width), default=0))
    return pricer.space.from_vector(vector)


def savings(pricer: Pricer, limits: Mapping[str, float], around: Architecture) -> Savings:
    """Measures what a unit of depth of every layer saves, and what each option of other choices does.

    Args:
        pricer: Prices of networks.
        limits: Limits by cost.
        around: Network where it is measured.
    """
    space = pricer.space
    vector = [int(index) for index in space.vector(around)]
    found: dict[str, dict[str, list[float]]] = {}
    for position, choice in enumerate(space.choices):
        options = choice.options
        assert isinstance(options, tuple)
        if not choice.name.startswith(WIDTH):
            *less, whole = (
                pricer.price(space.from_vector([*vector[:position], index, *vector[position + 1 :]]))
                for index in range(len(options))
            )
            found[choice.name] = {name: [math.log(whole[name] / each[name]) for each in less] for name in limits}
            continue
        upper = max(vector[position], 1)
        more, fewer = (
            pricer.price(space.from_vector([*vector[:position], index, *vector[position + 1 :]]))
            for index in (upper, upper - 1)
        )
        unit = math.log(options[upper] / options[upper - 1])  # type: ignore[operator]
        found[choice.name] = {name: [math.log(more[name] / fewer[name]) / unit] for name in limits}
    return found


def damage(pricer: Pricer, scales: Mapping[str, float], others: Damages, network: Architecture) -> float:
    """Sum of the damages of all cuts of a network.

    Args:
        pricer: Prices of networks.
        scales: Scale of the damage by choice of a width.
        others: Damages by choice that is not a width.
        network: The network.
    """
    space = pricer.space
    total, vector = 0.0, space.vector(network)
    for position, choice in enumerate(space.choices):
        index = int(vector[position])
        if choice.name in others and index < len(others[choice.name]) and space.decides(position, network):
            total += others[choice.name][index]
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
