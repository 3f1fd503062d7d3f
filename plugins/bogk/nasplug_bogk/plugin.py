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
        "bogk",
        "nasplug_bogk.strategy:BayesianOptimisation",
        summary="Bayesian optimisation: a Gaussian process with graph kernels on any space of graphs.",
    )
    catalog.command(
        "predict-metric",
        "nasplug_bogk.predicting:command",
        summary="Predict a metric of untrained networks from the trials of a study, with intervals.",
    )
    catalog.command(
        "motifs", "nasplug_bogk.command:command", summary="Show which parts of an architecture help, by a graph kernel."
    )
