"""From the results of a study to the numbers that a Gaussian process is fitted to: larger is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from nasplug.builtin.ranking import comparable
from nasplug.contract.records import Objective, Trial
from nasplug.ledger.pareto import points
from nasplug.ledger.view import StudyView
from nasplug_bogk.kernels.embedding import Array

#: `log_error` is -log(1 - y) for results in [0, 1), and -log(100 - y) for results in per cent; `quantile` puts normal
#: scores in the place of values; `auto` is `log_error` for results in [0, 1) that are maximised, and for those in
#: [0, 100) whose name says that they are accuracies, and `none` elsewhere.
Transform = Literal["auto", "none", "log_error", "quantile"]


def usable(study: StudyView) -> list[Trial]:
    """Finished trials that say something: all but copies of earlier ones."""
    return [trial for trial in study.trials if trial.copied_from is None]


def targets(
    study: StudyView,
    trials: Sequence[Trial],
    transform: Transform,
    rng: np.random.Generator,
    objective: int | None = None,
) -> Array:
    """One number for each trial, of mean 0 and deviation 1.

    Feasible trials get their objective, transformed; with several objectives the value of a scalarisation whose
    weights `rng` draws. The others get a place below, so that the process learns to stay away: trials that break a
    constraint by their violation, beneath the worst feasible one; failed trials the worst value of all; trials that a
    stopper ended, of which is known that others were better at the time, the lower quartile.

    Args:
        study: Study with the objectives and constraints.
        trials: Out of the study, at least one.
        transform: See `Transform`.
        rng: Generator for the weights of a scalarisation.
        objective: Position of the only objective to look at, which then is not scalarised.

    Returns:
        float64 (len(trials),).
    """
    feasible = np.array([study.is_candidate(trial) for trial in trials])
    values = np.zeros(len(trials))
    if feasible.any():
        found = points([trial for trial, good in zip(trials, feasible, strict=True) if good], study.objectives)
        signs = np.array([objective.sign for objective in study.objectives])
        if found.shape[1] == 1 or objective is not None:
            column = objective or 0
            values[feasible] = _standardised(_transformed(found[:, column], study.objectives[column], transform))
        else:
            values[feasible] = _standardised(_scalarised(found * signs, rng))
    worst = values[feasible].min() if feasible.any() else 0.0
    lower = float(np.quantile(values[feasible], 0.25)) if feasible.any() else 0.0
    breaking = np.array([not good and comparable(study, t) for good, t in zip(feasible, trials, strict=True)])
    if breaking.any():
        violations = np.array([study.violation(trial) for trial in trials])
        values[breaking] = worst - _relative(violations[breaking])
        worst = float(values[breaking].min())
    for index, trial in enumerate(trials):
        if not feasible[index] and not breaking[index]:
            values[index] = worst if trial.state == "failed" else lower
    return _standardised(values)


def _transformed(values: Array, objective: Objective, transform: Transform) -> Array:
    """The objective with the larger value the better one, on a scale on which a process fits."""
    if transform == "quantile":
        scores: Array = ndtri((rankdata(objective.sign * values) - 0.5) / len(values))
        return scores
    top = 1.0 if values.max() < 1.0 else 100.0
    inside = objective.direction == "max" and values.min() >= 0.0 and values.max() < top
    named = top == 1.0 or "acc" in objective.name
    if transform == "log_error" or (transform == "auto" and inside and named):
        errors: Array = -np.log(np.maximum(top - values, 1e-6 * top))
        return errors
    return objective.sign * values


def _scalarised(values: Array, rng: np.random.Generator) -> Array:
    """The augmented Chebyshev scalarisation with random weights, of Knowles, "ParEGO", IEEE TEVC 10 (2006).

    Args:
        values: float64 (trials, objectives), larger is better.
        rng: Draws weights uniformly from the simplex.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    losses = (high - values) / np.where(high > low, high - low, 1.0)
    weights = rng.dirichlet(np.ones(values.shape[1]))
    weighted = losses * weights
    scalarised: Array = -(weighted.max(axis=1) + 0.05 * weighted.sum(axis=1))
    return scalarised


def _relative(violations: Array) -> Array:
    """Violations on a scale from 0.5 to 1.5 standard deviations; saturating, since some are huge."""
    middle = float(np.median(violations))
    return 0.5 + violations / (violations + max(middle, 1e-12))


def _standardised(values: Array) -> Array:
    spread = float(values.std())
    standardised: Array = (values - values.mean()) / (spread if spread > 1e-12 else 1.0)
    return standardised
