"""Which trials are best: order by one objective, non-dominated set and hypervolume by several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Constraint, Objective, Trial


def violation(trial: Trial, constraints: Sequence[Constraint]) -> float:
    """Sum of the constraint violations, each relative to its bound; 0.0 when all hold.

    A value that is missing counts as a violation only once the trial is finished with success or was pruned for it.
    """
    if not constraints:
        return 0.0
    values = trial.values
    total = 0.0
    for constraint in constraints:
        if constraint.name not in values and trial.state != "complete":
            continue
        total += constraint.violation(values) / (abs(constraint.bound) or 1.0)
    return total


def is_candidate(trial: Trial, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> bool:
    """Whether a trial may be called best: complete, all objectives finite, all constraints kept."""
    if trial.state != "complete":
        return False
    values = trial.values
    for objective in objectives:
        if not math.isfinite(values.get(objective.name, math.nan)):
            return False
    return not constraints or violation(trial, constraints) == 0.0


def points(trials: Sequence[Trial], objectives: Sequence[Objective]) -> npt.NDArray[np.float64]:
    """Objective values, float64 (trials, objectives), in their own directions."""
    return np.array(
        [[trial.values[objective.name] for objective in objectives] for trial in trials], dtype=np.float64
    ).reshape(len(trials), len(objectives))


def pareto_front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """The non-dominated trials, best first by the first objective; of equal points the first trial is kept.

    Args:
        trials: Candidates, see `is_candidate`.
        objectives: One or more.
    """
    if not trials:
        return []
    import moocore

    maximise = [objective.direction == "max" for objective in objectives]
    keep = moocore.is_nondominated(points(trials, objectives), maximise=maximise, keep_weakly=False)
    front = [trial for trial, kept in zip(trials, keep, strict=True) if kept]
    return sorted(front, key=lambda t: tuple([-objective.sign * t.values[objective.name] for objective in objectives]))


def hypervolume(
    trials: Sequence[Trial], objectives: Sequence[Objective], reference: Mapping[str, float] | None = None
) -> float:
    """Volume of objective space that the trials dominate, up to a reference point.

    Args:
        trials: Candidates, see `is_candidate`.
        objectives: Two or more usually; one gives the distance to the reference.
        reference: A value per objective that every useful trial beats. Without it: the worst value of each objective
            among the trials, so that two studies are comparable only with a reference given.

    Raises:
        StudyError: The reference misses an objective.
    """
    if not trials:
        return 0.0
    import moocore

    values = points(trials, objectives)
    signs = np.array([-objective.sign for objective in objectives])
    minimised = values * signs
    if reference is None:
        corner = minimised.max(axis=0)
    else:
        missing = [objective.name for objective in objectives if objective.name not in reference]
        if missing:
            raise StudyError(f"the reference point has no value for {missing[0]!r}", where="hypervolume")
        corner = np.array([reference[objective.name] for objective in objectives]) * signs
    return float(moocore.hypervolume(minimised, ref=corner))


def best_key(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Sort key: larger is better, objectives in their order, earlier trials win ties."""
    values = trial.values
    return (*(objective.sign * values[objective.name] for objective in objectives), -float(trial.number))
