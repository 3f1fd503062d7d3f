"""Announces Q-NAS to nasplug; imports nothing of the method itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.strategy(
        "qnas",
        "nasplug_qnas.strategy:QNAS",
        summary="Quantum-inspired evolution of every choice of a space, and of training hyperparameters.",
    )
    catalog.space(
        "qnas.conv",
        "nasplug_qnas.spaces:ConvSpace",
        summary="Chains of convolutions and pools: the convolutional spaces of Q-NAS.",
    )
    catalog.space(
        "qnas.residual",
        "nasplug_qnas.spaces:ResidualSpace",
        summary="Chains of residual blocks and pools: the residual space of Q-NAS.",
    )
    catalog.task(
        "qnas.classification",
        "nasplug_qnas.training.task:RecipeClassification",
        summary="Image classification with the optimisers and schedules of Q-NAS and Enhanced Q-NAS.",
    )
    catalog.space(
        "qnas.segmentation",
        "nasplug_qnas.segmentation.space:SegmentationSpace",
        summary="U-Net-shaped chains of cells: the space of SegQNAS, on slices or volumes.",
    )
    catalog.task(
        "qnas.segmentation_task",
        "nasplug_qnas.segmentation.task:RecipeSegmentation",
        summary="Segmentation with the loss, schedule and batch metric of SegQNAS, beside volumetric Dice.",
    )
