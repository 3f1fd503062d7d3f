"""Announces what comes with the core."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only; nothing is imported."""
    catalog.strategy("random", "nasplug.builtin.random:RandomSearch", summary="Draws from the space's prior.")
    catalog.strategy(
        "regularized_evolution",
        "nasplug.builtin.regularized_evolution:RegularizedEvolution",
        summary="Aging evolution: tournament, mutation, and the oldest dies.",
    )
    catalog.strategy(
        "successive_halving",
        "nasplug.builtin.successive_halving:SuccessiveHalving",
        summary="Short trainings for many, long ones for the best of every rung; over any strategy.",
    )
    catalog.strategy(
        "asha",
        "nasplug.builtin.successive_halving:Asha",
        summary="Asynchronous successive halving over any strategy.",
    )
