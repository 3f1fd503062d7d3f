"""Announces the cost to nasplug; imports nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.cost(
        "zerocost", "nasplug_zerocost.cost:ZeroCost", summary="Zero-cost proxies: naswot, synflow, snip and others."
    )
