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
    catalog.task(
        "ablation",
        "nasplug_ablation.task:AblationTask",
        summary="Any LightningModule and LightningDataModule, whole and unchanged.",
    )
    catalog.space(
        "ablation",
        "nasplug_ablation.space:VariantSpace",
        summary="Variants of one module and its data, each without some components.",
    )
    catalog.wrapper(
        "ablation",
        "nasplug_ablation.wrapper:Ablating",
        summary="Takes features, augmentations and callbacks away from the trials of an ablation.",
    )
    catalog.strategy(
        "ablation.loco",
        "nasplug_ablation.strategies.loco:LeaveOneOut",
        summary="Leave one component out: the base, and a variant without each component.",
    )
    catalog.strategy(
        "ablation.pairs",
        "nasplug_ablation.strategies.loco:Pairs",
        summary="Leave one and two components out: interactions.",
    )
    catalog.strategy(
        "ablation.add_one_in",
        "nasplug_ablation.strategies.loco:AddOneIn",
        summary="Nothing but one component: what each is worth alone.",
    )
    catalog.strategy(
        "ablation.backward",
        "nasplug_ablation.strategies.backward:Backward",
        summary="Greedy backward elimination: what is missed least goes first.",
    )
    catalog.strategy(
        "ablation.shapley",
        "nasplug_ablation.strategies.shapley:Shapley",
        summary="Shapley values of components by sampled orders.",
    )
    catalog.command(
        "ablate",
        "nasplug_ablation.command:command",
        summary="Say what the parts of a module, its data and its training are worth.",
    )
