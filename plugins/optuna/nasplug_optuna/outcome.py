"""What a study and its finished trials tell Optuna: directions, values, constraints and courses."""

from __future__ import annotations

import math

from optuna.study import StudyDirection

from nasplug.contract.records import Trial
from nasplug.ledger.view import StudyView


def directions(study: StudyView) -> list[StudyDirection]:
    """The directions of the objectives."""
    sides = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
    return [sides[objective.direction] for objective in study.objectives]


def objective_values(study: StudyView, trial: Trial) -> list[float] | None:
    """The objectives in their own directions; None if one is missing or not finite."""
    values = [trial.values.get(objective.name, math.nan) for objective in study.objectives]
    return values if all(math.isfinite(value) for value in values) else None


def excesses(study: StudyView, trial: Trial) -> dict[str, float]:
    """How far every constraint is exceeded, relative to its bound; 0 or less where it holds, as in Optuna.

    Constraints whose value is not known, as in a trial that was never trained, are left out.
    """
    found: dict[str, float] = {}
    for constraint in study.constraints:
        value = trial.values.get(constraint.name, math.nan)
        if math.isfinite(value):
            excess = value - constraint.bound if constraint.operator == "<=" else constraint.bound - value
            found[str(constraint)] = excess / (abs(constraint.bound) or 1.0)
    return found


def intermediate(study: StudyView, trial: Trial) -> dict[int, float]:
    """The main objective per step, where it was measured."""
    name = study.objectives[0].name
    course = {measurement.step: measurement.metrics.get(name, math.nan) for measurement in trial.measurements}
    return {step: value for step, value in course.items() if math.isfinite(value)}
