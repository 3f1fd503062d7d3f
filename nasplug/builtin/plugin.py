"""Announces what comes with the core."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only; nothing is imported."""
    catalog.strategy("random", "nasplug.builtin.random:RandomSearch", summary="Draws from the space's prior.")
