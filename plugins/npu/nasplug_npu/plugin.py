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
    catalog.space(
        "npu.unit",
        "nasplug_npu.spaces:UnitSpace",
        summary="Neural processing units that differ in some of their fields; for the evaluator npu.",
    )
    catalog.space(
        "npu.with_unit",
        "nasplug_npu.spaces:WithUnitSpace",
        summary="Networks of another space, each with the neural processing unit that it runs on.",
    )
    catalog.evaluator(
        "npu",
        "nasplug_npu.evaluator:UnitEvaluator",
        summary="Latency, energy and area of given networks on the units of npu.unit, without any training.",
    )
    catalog.command(
        "npu", "nasplug_npu.command:command", summary="estimate networks on neural processing units, and explore units"
    )
    catalog.callback(
        "npu",
        "nasplug_npu.callback:NPULogger",
        summary="Logs costs on a unit and the density of weights and activations while training.",
    )
