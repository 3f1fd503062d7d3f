"""Stoppers: `median` ends trainings that fall behind earlier ones, `patience` those that have stopped learning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Measurement, Objective
from nasplug.contract.wording import plural
from nasplug.evaluate.trialrun import TrialRun

if TYPE_CHECKING:
    from pytorch_lightning import Callback


class MedianStopper:
    """Stops a training whose best value so far is worse than the median of earlier trials at the same step.

    The median rule of Google Vizier (Golovin et al., KDD 2017), except that the median is taken over what the others
    had at this very step and not over their averages up to it. With several measured objectives, a training is stopped
    only if it falls behind in all of them. A stopped trial is `pruned`.

    Args:
        warmup: Steps (epochs) that every training may have.
        trials: Number of earlier trials that must have reached the step before any trial is stopped.
        every: Looks only at every so many-th step after the warm-up.
    """

    def __init__(self, warmup: int = 1, trials: int = 5, every: int = 1) -> None:
        for name, value, least in (("warmup", warmup, 0), ("trials", trials, 1), ("every", every, 1)):
            if value < least:
                raise SpecError(f"{name} must be >= {least}, got {value}", where="stopper: median")
        self.warmup, self.trials, self.every = warmup, trials, every

    @hookimpl
    def should_prune(self, run: TrialRun, measurement: Measurement) -> str | None:
        """See the hook."""
        step = measurement.step
        if step <= self.warmup or (step - self.warmup) % self.every:
            return None
        own = [*run.measurements, measurement]
        earlier = [
            metrics
            for other in run.study.trials
            if other.copied_from is None and other.state in ("complete", "pruned")
            for metrics in _at(other.measurements, step)
        ]
        behind = []
        for objective in run.study.objectives:
            if objective.name not in measurement.metrics:
                continue  # a cost: nothing that training could show
            values = _signed(objective, earlier)
            if len(values) < self.trials:
                return None
            best = max(_signed(objective, [item.metrics for item in own]), default=-math.inf)
            if best >= median(values):
                return None
            middle = objective.sign * median(values)
            behind.append(
                f"{objective.name} {objective.sign * best:.4g}, median of {plural(len(values), 'trial')} {middle:.4g}"
            )
        return f"median: at step {step}, best {'; '.join(behind)}" if behind else None


class Patience:
    """Ends a training in which no measured objective improves for some epochs.

    The trial is complete, as its result stands; so this does not prune through the hook `should_prune`, but is a
    Lightning callback.

    Args:
        epochs: Number of validations in a row that may pass without improvement.
        min_delta: Smallest change that counts as an improvement, in units of the objective.
    """

    def __init__(self, epochs: int = 10, min_delta: float = 0.0) -> None:
        if epochs < 1:
            raise SpecError(f"epochs must be >= 1, got {epochs}", where="stopper: patience")
        if min_delta < 0:
            raise SpecError(f"min_delta must be >= 0, got {min_delta}", where="stopper: patience")
        self.epochs, self.min_delta = epochs, min_delta

    @hookimpl
    def configure_callbacks(self, run: TrialRun) -> Sequence[Callback]:
        """One new callback."""
        from nasplug.lightning.patience import PatienceCallback

        return [PatienceCallback(run.study.objectives, self.epochs, self.min_delta)]


def _at(measurements: Sequence[Measurement], step: int) -> list[Mapping[str, float]]:
    return [item.metrics for item in measurements if item.step == step]


def _signed(objective: Objective, metrics: Sequence[Mapping[str, float]]) -> list[float]:
    """Finite values of an objective, signed so that larger is better."""
    values = [objective.sign * item[objective.name] for item in metrics if objective.name in item]
    return [value for value in values if math.isfinite(value)]
