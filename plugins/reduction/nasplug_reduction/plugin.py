"""Announces the package to nasplug; imports nothing of the methods themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

NASPLUG_CONTRACT = "2.0"


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.space(
        "reduction",
        "nasplug_reduction.space:ReductionSpace",
        summary="Everything smaller than one trained network: widths of channel groups and blocks, with its weights.",
    )
    catalog.task(
        "reduction", "nasplug_reduction.task:reduction", summary="The training and the data of your trained model."
    )
    catalog.strategy(
        "reduction.uniform",
        "nasplug_reduction.strategies.uniform:Uniform",
        summary="All widths by the same factor: the baseline of every reduction.",
    )
    catalog.strategy(
        "reduction.sensitivity",
        "nasplug_reduction.strategies.sensitivity:Sensitivity",
        summary="Widths by how much narrowing each layer hurts, in a contest with the uniform network.",
    )
    catalog.strategy(
        "reduction.greedy",
        "nasplug_reduction.strategies.greedy:Greedy",
        summary="NetAdapt: step by step, the cut that costs least accuracy.",
    )
    catalog.strategy(
        "reduction.evolution",
        "nasplug_reduction.strategies.evolution:Evolution",
        summary="Generations of networks that all use up the budget.",
    )
    catalog.strategy(
        "reduction.supernet",
        "nasplug_reduction.strategies.evolution:Supernet",
        summary="Shared weights trained once; every size is cut from them and recalibrated.",
    )
    catalog.strategy(
        "reduction.snare",
        "nasplug_reduction.strategies.snare:Snare",
        summary="SNARE: the most promising layer by a step of its own, made smaller whenever too much is lost.",
    )
    catalog.strategy(
        "reduction.policy",
        "nasplug_reduction.strategies.policy:Policy",
        summary="N2N: policies learn which blocks go, then how wide the layers are.",
    )
    catalog.callback(
        "reduction.distillation",
        "nasplug_reduction.distillation:Distillation",
        summary="The original network teaches the smaller ones.",
    )
    catalog.command(
        "shrink", "nasplug_reduction.command:command", summary="make a trained model smaller, with weights and ONNX"
    )
