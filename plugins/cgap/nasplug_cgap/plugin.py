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
        "cgap.stages",
        "nasplug_cgap.sequence.task:StageTask",
        summary="The classes of the first stages of a sequence, of any classification task.",
    )
    catalog.evaluator(
        "cgap.naive",
        "nasplug_cgap.learners.plain:Naive",
        summary="Learns classes in stages by fine-tuning alone.",
    )
    catalog.evaluator(
        "cgap.joint",
        "nasplug_cgap.learners.plain:Joint",
        summary="Learns classes in stages on all samples seen so far.",
    )
    catalog.evaluator(
        "cgap.replay",
        "nasplug_cgap.learners.replay:Replay",
        summary="Learns classes in stages with a memory of earlier samples.",
    )
    catalog.evaluator(
        "cgap.ewc",
        "nasplug_cgap.learners.ewc:EWC",
        summary="Learns classes in stages with elastic weight consolidation.",
    )
    catalog.evaluator(
        "cgap.lwf",
        "nasplug_cgap.learners.lwf:LwF",
        summary="Learns classes in stages without forgetting, by distillation.",
    )
    catalog.evaluator(
        "cgap.pst",
        "nasplug_cgap.learners.pst:PST",
        summary="Learns classes in stages by Progressive Segmented Training: important units are frozen.",
    )
    catalog.evaluator(
        "cgap.acquire",
        "nasplug_cgap.learners.acquire:Acquire",
        summary="Acquisitive Learning: inherits most classes, and acquires the others from a memory alone.",
    )
    catalog.space(
        "cgap.resnet",
        "nasplug_cgap.resnet:ResNetSpace",
        summary="Residual networks for small images, with and without shortcuts.",
    )
    catalog.cost(
        "stability",
        "nasplug_cgap.stability.cost:Stability",
        summary="What noise on the trained weights costs in accuracy.",
    )
    catalog.cost(
        "roughness",
        "nasplug_cgap.stability.cost:Roughness",
        summary="How rough the loss around the trained weights is, with a picture.",
    )
    catalog.callback(
        "cgap",
        "nasplug_cgap.growth.plugin:CGaP",
        summary="Trains networks by continuous growth and pruning.",
    )
    catalog.space(
        "cgap.blocks",
        "nasplug_cgap.enas.space:BlockSpace",
        summary="Chains of blocks of MobileNetV2, ResNet and DenseNet with their widths: the space of ENAS-S.",
    )
    catalog.strategy(
        "cgap.enas_s",
        "nasplug_cgap.enas.strategy:ENASS",
        summary="ENAS-S: generations chosen by accuracy and stability, on any space of named choices.",
    )
    catalog.strategy(
        "cgap.select",
        "nasplug_cgap.select:Select",
        summary="Candidates of any strategy, of which the most stable go on from their weights.",
    )
    catalog.strategy(
        "cgap.grow",
        "nasplug_cgap.growth.strategy:Grow",
        summary="Continuous growth and pruning in stages that are trials, of which the best networks grow on.",
    )
