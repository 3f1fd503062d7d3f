"""Announces the package to nasplug; imports nothing of the models themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.target(
        "npu",
        "nasplug_npu.target:NPUHardware",
        summary="Neural processing units by their parts: presets such as npu:wu32, and changes of their fields.",
    )
    catalog.cost(
        "npu",
        "nasplug_npu.target:NPUCost",
        summary="Latency, energy, memory and area on a neural processing unit.",
    )
    catalog.command(
        "npu", "nasplug_npu.command:command", summary="estimate networks on neural processing units, and explore units"
    )
    catalog.callback(
        "npu",
        "nasplug_npu.callback:NPULogger",
        summary="Logs costs on a unit and the density of weights and activations while training.",
    )
