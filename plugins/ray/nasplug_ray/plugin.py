"""Announces the package to nasplug; imports nothing of Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

NASPLUG_CONTRACT = "2.0"


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.executor("ray", "nasplug_ray.executor:RayExecutor", summary="Workers on a Ray cluster, or on a local one.")
