"""Announces the package to nasplug; imports nothing of Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

_SAMPLERS = {
    "tpe": ("TPE", "Tree-structured Parzen estimator: densities of good and of other trials."),
    "random": ("Random", "Independent uniform choices."),
    "nsga2": ("NSGA2", "NSGA-II: evolution by non-dominated fronts, for several objectives."),
    "nsga3": ("NSGA3", "NSGA-III: evolution along reference directions, for many objectives."),
    "cmaes": ("CMAES", "CMA-ES: an adapting normal distribution over ordered options; extra cmaes."),
    "gp": ("GP", "Gaussian process with expected improvement; extra gp."),
    "qmc": ("QMC", "Quasi-random sequences that cover the space evenly; extra qmc."),
    "grid": ("Grid", "Every combination of a small space once, in random order."),
    "brute_force": ("BruteForce", "Every combination once, without a list of them beforehand."),
}


@hookimpl
def register(catalog: Catalog) -> None:
    """Names and locations only."""
    strategies = "nasplug_optuna.strategy"
    catalog.strategy("optuna", f"{strategies}:OptunaStrategy", summary="Any sampler of Optuna, by name.")
    for name, (attribute, summary) in _SAMPLERS.items():
        catalog.strategy(f"optuna.{name}", f"{strategies}:{attribute}", summary=f"Optuna: {summary}")
    catalog.command(
        "optuna", "nasplug_optuna.command:command", summary="write a study for Optuna's tools and its dashboard"
    )
