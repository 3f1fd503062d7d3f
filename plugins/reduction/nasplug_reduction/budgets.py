"""Budgets on the way from the original network to the last one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nasplug.contract.errors import SpecError

_WHERE = "reduction, budget"


def read_budget(keep: object, at_most: object) -> tuple[dict[str, float], dict[str, float]]:
    """Reads a budget.

    Args:
        keep: Share of the original network's parameters, or shares by cost.
        at_most: Largest values by cost.

    Returns:
        Shares and largest values by cost.

    Raises:
        SpecError: There is none, or a number is out of range.
    """
    shares = _numbers({"params": keep} if isinstance(keep, (int, float)) else keep, "keep", "0.25 or {macs: 0.5}")
    limits = _numbers(at_most, "at_most", "{params: 100000}")
    if not shares and not limits:
        raise SpecError("there is no budget", where=_WHERE, fix="give keep: 0.25, or at_most: {params: 100000}")
    for name, share in shares.items():
        if not 0 < share < 1:
            raise SpecError(
                f"keep of {name} must lie between 0 and 1, got {share:g}",
                where=_WHERE,
                fix="write a share such as 0.25, or at_most for a number",
            )
    for name, limit in limits.items():
        if not 0 < limit < math.inf:
            raise SpecError(
                f"at_most of {name} must be a finite number > 0, got {limit:g}",
                where=_WHERE,
                fix="write the largest value that is allowed, or keep for a share of the original's",
            )
    return shares, limits


def _numbers(given: object, name: str, example: str) -> dict[str, float]:
    """Numbers by cost."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SpecError(
            f"expected numbers by cost, got {given!r:.80}", where=f"reduction, {name}", fix=f"write {example}"
        )
    for cost, number in given.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise SpecError(
                f"expected a number for {cost!r}, got {number!r:.80}",
                where=f"reduction, {name}",
                fix=f"write {example}",
            )
    return {str(cost): float(number) for cost, number in given.items()}


def between(original: Mapping[str, float], limits: Mapping[str, float], share: float) -> dict[str, float]:
    """Returns limits on the way from the original network to its budget, by equal factors.

    Args:
        original: Costs of the original network.
        limits: Final limits.
        share: Part of the way that is gone, 1 at its end.
    """
    return {
        name: original[name] * min(1.0, limit / original[name]) ** share if share < 1 else limit
        for name, limit in limits.items()
    }
