"""Budgets on the way from the original network to the last one."""

from __future__ import annotations

from collections.abc import Mapping


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
