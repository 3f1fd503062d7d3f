"""What reduced networks cost, without training them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.records import Architecture
from nasplug.contract.wording import plural
from nasplug.cost.candidate import Candidate
from nasplug.cost.counts import count_macs

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget
    from nasplug_reduction.space import ReductionSpace


class Pricer:
    """Prices networks of a space by name: `params`, `macs`, and what a hardware target estimates.

    Args:
        space: Space of the networks.
        target: Hardware target; its estimates are called `family/key`, such as `npu/latency_s`.
        names: Names of the costs that are asked for.
    """

    def __init__(self, space: ReductionSpace, target: HardwareTarget | None, names: Iterable[str]) -> None:
        self.space, self._target, self.names = space, target, tuple(names)
        self._known: dict[str, dict[str, float]] = {}

    def price(self, architecture: Architecture) -> dict[str, float]:
        """Returns the costs that are asked for.

        Raises:
            SpecError: Nothing answers one of them.
        """
        known = self._known.get(architecture.key)
        if known is None:
            known = self._known[architecture.key] = self._price(architecture)
        return known

    def within(self, architecture: Architecture, limits: Mapping[str, float]) -> bool:
        """Whether a network keeps to all limits; cheap costs are asked first."""
        if "params" in limits and self.space.params(architecture) > limits["params"]:
            return False
        if set(limits) == {"params"}:
            return True
        costs = self.price(architecture)
        return all(costs[name] <= limit for name, limit in limits.items())

    def _price(self, architecture: Architecture) -> dict[str, float]:
        found: dict[str, float] = {"params": float(self.space.params(architecture))}
        if "macs" in self.names:
            found["macs"] = float(count_macs(self.space.skeleton(architecture), self.space.inputs))
        if set(self.names) - set(found):
            if self._target is None:
                missing = sorted(set(self.names) - set(found))[0]
                raise SpecError(
                    f"nothing answers {missing!r}",
                    where="reduction",
                    why="the run has no hardware target",
                    fix=f"{did_you_mean(missing, ('params', 'macs'))}; for all others add a target",
                )
            family = self._target.name.split(":")[0]
            candidate = Candidate(
                lambda: self.space.build(architecture).eval(),
                self.space.inputs,
                architecture=architecture,
                space=self.space,
            )
            found |= {f"{family}/{key}": value for key, value in self._target.estimate(candidate).items()}
        for name in self.names:
            if name not in found:
                raise SpecError(f"nothing answers {name!r}", where="reduction", fix=did_you_mean(name, found))
        return found


def absolute(
    pricer: Pricer, keep: Mapping[str, float], at_most: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Turns shares of the original network into numbers, and checks that some network keeps to them.

    Args:
        pricer: Prices of networks.
        keep: Shares of the original network by cost.
        at_most: Largest values by cost.

    Returns:
        Limits, costs of the original network, and costs of the smallest one.

    Raises:
        SpecError: Even the smallest network costs more.
    """
    original = pricer.price(pricer.space.full)
    smallest = pricer.price(pricer.space.smallest)
    limits = {**{name: share * original[name] for name, share in keep.items()}, **at_most}
    for name, limit in limits.items():
        if smallest[name] > limit:
            raise SpecError(
                f"no network of the space has {name} <= {_said(limit)}",
                where="reduction",
                why=f"the smallest one has {_said(smallest[name])}, which is {smallest[name] / original[name]:.1%} of "
                f"the original's {_said(original[name])}; "
                f"{plural(len(pricer.space.refused), 'channel group')} cannot shrink",
                fix=f"{_enough(name, smallest[name], original[name], keep)}, or allow narrower widths: "
                "widths: {least: 1, levels: 32} of the space, --least 1 of the command",
            )
    return limits, original, smallest


def _enough(name: str, smallest: float, original: float, keep: Mapping[str, float]) -> str:
    """What to ask for instead, rounded so that it is enough."""
    if name in keep:
        return f"keep {math.ceil(100 * smallest / original) / 100:g} or more"
    digits = 2 - math.floor(math.log10(smallest))
    return f"allow at least {math.ceil(smallest * 10**digits) / 10**digits:.12g}"


def _said(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
