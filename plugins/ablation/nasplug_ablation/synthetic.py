"""A table of variants with known values, for trying strategies of ablation out; loads no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpaceError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Architecture, Evaluation, Measurement
from nasplug_ablation.components import Component
from nasplug_ablation.planned import Planned

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.evaluate.trialrun import TrialRun

#: Components, and what the objective loses without each.
WORTH: Mapping[str, float] = {"strong": 0.3, "weak": 0.05, "idle": 0.0, "spare": 0.0, "bad": -0.1}
#: Two that can stand in for each other: only both together are missed, by this much.
TWINS = ("idle", "spare")
TOGETHER = 0.2


class SyntheticVariants:
    """Variants of a module that is not there: five components of known worth."""

    name = "synthetic_variants"

    def resolved(self, task: Task | None) -> dict[str, Component]:
        """Returns the components by name."""
        return {name: Component("custom", name, name) for name in WORTH}

    def components_of(self, architecture: Architecture, task: Task | None) -> list[Component]:
        """Returns the components that a variant lacks."""
        return [component for name, component in self.resolved(task).items() if name in _names(architecture)]

    def planned(self, architecture: Architecture, task: Task | None) -> Planned:
        """Returns a plan without anything in it."""
        return Planned(params=10 - len(_names(architecture)))

    def without(self, names: Iterable[str]) -> Architecture:
        """Returns the variant that lacks components."""
        return self.architecture(tuple(sorted(names)))

    def architecture(self, genotype: Any) -> Architecture:
        """Returns the variant of a genotype.

        Raises:
            SpaceError: It names something else.
        """
        if not isinstance(genotype, (list, tuple)) or set(genotype) - set(WORTH):
            raise SpaceError(f"{genotype!r:.100} is not a variant", where=f"space {self.name!r}")
        ordered = tuple(sorted(set(genotype)))
        return Architecture(self.name, ordered, json.dumps(ordered))

    def validate(self, architecture: Architecture) -> None:
        """Checks a variant.

        Raises:
            SpaceError: It is not one.
        """
        if self.architecture(architecture.genotype).key != architecture.key:
            raise SpaceError(f"{architecture.key!r} is not a variant", where=f"space {self.name!r}")

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns a variant at random."""
        return self.architecture(tuple(name for name in WORTH if rng.random() < 0.5))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds nothing.

        Raises:
            SpaceError: Always.
        """
        raise SpaceError("there are no networks behind these variants", where=f"space {self.name!r}")


class SyntheticAblation:
    """Looks the value of a variant up.

    Args:
        noise: Standard deviation of the value over seeds.
        failing: Share of the variants that fail, always the same ones.
        halting: Share of the variants whose training is stopped early.
    """

    objectives = {"val_acc": "max"}  # noqa: RUF012

    def __init__(self, noise: float = 0.0, failing: float = 0.0, halting: float = 0.0) -> None:
        self.noise, self.failing, self.halting = noise, failing, halting

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Adds up what is missing."""
        names = _names(run.trial.architecture)
        share = int(np.random.default_rng([*map(ord, "".join(names))]).integers(100)) / 100
        if names and share < self.failing:
            raise TrialError("shape", "this variant fails by request")
        noise = self.noise * float(np.random.default_rng(run.trial.seed).standard_normal())
        metrics = {"val_acc": value(names) + noise}
        halted = "halted by request" if names and share > 1 - self.halting else None
        reason = run.report(Measurement(1, metrics)) or halted
        return Evaluation(metrics, tuple(run.measurements), pruned=reason)


def value(names: Iterable[str]) -> float:
    """Returns the objective of a variant without noise.

    Args:
        names: Names of what it lacks.
    """
    lacking = set(names)
    return 0.9 - sum(WORTH[name] for name in lacking) - (TOGETHER if lacking >= set(TWINS) else 0.0)


def _names(architecture: Architecture) -> tuple[str, ...]:
    names: Any = architecture.genotype
    return tuple(names)


def conformance(strategy: type[Any]) -> dict[str, object]:
    """Returns what the conformance suite of strategies needs to try one of this package.

    Args:
        strategy: Class of the strategy.
    """
    lengths = {"LeaveOneOut": 18, "Pairs": 40, "AddOneIn": 21, "Backward": 30, "Shapley": 40}
    return {
        "trials": lengths.get(strategy.__name__, 18),
        "stochastic": strategy.__name__ == "Shapley",
        "several_objectives": True,
        "make_space": lambda self: SyntheticVariants(),
        "make_evaluator": lambda self, **trouble: SyntheticAblation(noise=0.01, **trouble),
    }
