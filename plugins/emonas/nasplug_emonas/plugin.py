"""Announces EMONAS to nasplug; imports nothing of the method itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.strategy(
        "emonas",
        "nasplug_emonas.strategy:EMONAS",
        summary="NSGA-II of NSGA-Net on any space of choices: tournament, two-point crossover, polynomial mutation.",
    )
