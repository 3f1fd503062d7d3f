"""Announces EMONAS to nasplug; imports nothing of the method itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

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
    catalog.cost("boo", "nasplug_emonas.boo.cost:Boo", summary="One bits in the trained weights, in many bit formats.")
    catalog.callback(
        "emonas.boo_regulariser",
        "nasplug_emonas.boo.regulariser:BooRegulariser",
        summary="Pulls weights towards values with fewer one bits while training.",
    )
    catalog.command(
        "boo",
        "nasplug_emonas.boo.command:BooCommand",
        summary="tell whether the one bits of a study's networks say more than their sizes",
    )
    catalog.space(
        "emonas.macro",
        "nasplug_emonas.macro:MacroSpace",
        summary="Connections inside the phases of a convolutional network: the macro space of NSGA-Net.",
    )
    catalog.space(
        "emonas.micro",
        "nasplug_emonas.micro:MicroSpace",
        summary="Normal and reduction cells of NASNet with operations of DARTS: the micro space of NSGA-Net.",
    )
