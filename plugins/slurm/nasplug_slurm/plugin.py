"""Announces the package to nasplug; imports nothing of submitit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

NASPLUG_CONTRACT = "2.0"


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.executor("slurm", "nasplug_slurm.executor:SlurmExecutor", summary="An array of workers on Slurm.")
