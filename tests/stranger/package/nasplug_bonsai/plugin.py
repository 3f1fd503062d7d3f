"""Announces six components and imports none of them."""

from __future__ import annotations

import nasplug as nas

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    """Names and locations."""
    catalog.space("bonsai.trees", "nasplug_bonsai.trees:Trees", summary="Perceptrons of several branches.")
    catalog.strategy("bonsai.shears", "nasplug_bonsai.shears:Shears", summary="Cuts the best network back.")
    catalog.cost("leaves", "nasplug_bonsai.prices:Leaves", summary="Hidden units of all branches.")
    catalog.target("pot", "nasplug_bonsai.prices:Pots", summary="A chip of a stated speed: pot:MEGAMACS.")
    catalog.executor("bonsai.gardener", "nasplug_bonsai.gardener:Gardener", summary="One thread beside the driver.")
    catalog.callback("bonsai.wire", "nasplug_bonsai.wire:Wire", summary="Keeps weights inside a bound.")
