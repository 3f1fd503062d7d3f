"""Announces the package to nasplug; imports nothing of the method itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    catalog.strategy(
        "infonas.screen",
        "nasplug_infonas.strategies.screen:Screen",
        summary="Takes the best of several candidates of another strategy, by a predictor on embeddings.",
    )
    catalog.strategy(
        "infonas.bo",
        "nasplug_infonas.strategies.bo:EmbeddingBO",
        summary="Bayesian optimisation among the embedded cells of a space.",
    )
    catalog.strategy(
        "infonas.reinforce",
        "nasplug_infonas.strategies.reinforce:EmbeddingReinforce",
        summary="A policy that walks through the embedding, improved by REINFORCE.",
    )
    catalog.command(
        "infonas",
        "nasplug_infonas.command:command",
        summary="train encoders of architectures, embed spaces, label networks",
    )
