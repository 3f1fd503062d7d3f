"""The assignments of bits that hurt least within a budget, and the uniform one to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.supernet.allocation import best_within

if TYPE_CHECKING:
    from nasplug.contract.records import Architecture
    from nasplug_darts_lp.sensitivity.capability import Pair
    from nasplug_darts_lp.sensitivity.pricing import Pricer

#: How often the sum of what layers cost is corrected to the cost of a whole network, and tried again.
CORRECTIONS = 8

Assigned = Callable[[dict[str, "Pair"]], "Architecture"]


def limit_of(
    pricer: Pricer, precisions: Mapping[str, Sequence[Pair]], assigned: Assigned, keep: float | None, most: float | None
) -> float:
    """Returns the budget as a number.

    Args:
        pricer: Prices of networks.
        precisions: Pairs of every layer, the cheapest first and the dearest last.
        assigned: Function that returns the network with these bits.
        keep: Share of the cost of the network with the most bits.
        most: Number that is given in its place.

    Raises:
        SpecError: Even the network with the fewest bits costs more.
    """
    dearest = pricer(assigned({name: pairs[-1] for name, pairs in precisions.items()}))
    cheapest = pricer(assigned({name: pairs[0] for name, pairs in precisions.items()}))
    limit = float(most) if most is not None else float(keep or 0.0) * dearest
    if cheapest > limit * (1 + 1e-9):
        raise SpecError(
            f"no network of the space has {pricer.name} <= {limit:g}",
            where="darts_lp.sensitivity",
            why=f"the fewest bits cost {cheapest:g}, {cheapest / dearest:.1%} of the {dearest:g} of the most bits",
            fix=f"keep {cheapest / dearest:.2g} or more, or let the space have fewer bits",
        )
    return limit


def within(
    pricer: Pricer,
    precisions: Mapping[str, Sequence[Pair]],
    assigned: Assigned,
    harms: Sequence[Sequence[float]],
    limit: float,
    count: int,
) -> list[dict[str, Pair]]:
    """Returns the assignments with the least sum of harms whose whole network keeps to the budget, best first.

    Dynamic programming on what layers cost one by one; a network that costs more than their sum, which hardware may
    make of two changes together, narrows the budget of the sum by as much.

    Args:
        pricer: Prices of networks.
        precisions: Pairs of every layer, the cheapest first.
        assigned: Function that returns the network with these bits.
        harms: Harm of every pair, by layer.
        limit: Budget.
        count: Number of assignments.
    """
    base, added = pricer.shares(precisions, assigned)
    scores = [[-value for value in layer] for layer in harms]
    names, room = list(precisions), limit * (1 + 1e-9) - base
    found: dict[str, dict[str, Pair]] = {}
    for _ in range(CORRECTIONS):
        over = 0.0
        for number, chosen in enumerate(best_within(scores, added, 0.0, room)):
            bits = {name: tuple(precisions[name][at]) for name, at in zip(names, chosen, strict=True)}
            architecture = assigned(bits)  # type: ignore[arg-type]
            over = max(over, pricer(architecture) - limit * (1 + 1e-9))
            if pricer(architecture) <= limit * (1 + 1e-9):
                found.setdefault(architecture.key, bits)  # type: ignore[arg-type]
            if len(found) == count or number >= 4 * count:
                break
        if len(found) == count or over <= 0.0:
            break
        room -= over
    if not found:
        cheapest = {name: pairs[0] for name, pairs in precisions.items()}
        found[assigned(cheapest).key] = cheapest
    return list(found.values())[:count]


def uniform(
    pricer: Pricer, precisions: Mapping[str, Sequence[Pair]], assigned: Assigned, limit: float
) -> dict[str, Pair] | None:
    """Returns the same pair for all layers: the dearest within the budget that all of them have, None without one.

    Args:
        pricer: Prices of networks.
        precisions: Pairs of every layer.
        assigned: Function that returns the network with these bits.
        limit: Budget.
    """
    layers = list(precisions.values())
    common = [pair for pair in layers[0] if all(pair in other for other in layers)]
    priced = [(pricer(assigned(dict.fromkeys(precisions, pair))), -abs(pair[0] - pair[1]), pair) for pair in common]
    fitting = [each for each in priced if each[0] <= limit * (1 + 1e-9)]
    return dict.fromkeys(precisions, max(fitting)[2]) if fitting else None
