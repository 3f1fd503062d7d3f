"""Orders trials from best to worst, with several objectives and constraints; shared by the built-in strategies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nasplug.contract.records import Trial
from nasplug.ledger.pareto import points
from nasplug.ledger.view import StudyView

if TYPE_CHECKING:
    import numpy.typing as npt


def comparable(study: StudyView, trial: Trial) -> bool:
    """Whether a trial can be compared with others: it has all objectives, or is known to break a constraint.

    A trial that was rejected for a constraint before its training has no metrics, but its violation says how far it
    is from the feasible region. Failed trials, and trials that a stopper ended, tell neither.
    """
    if trial.state == "complete":
        return all(math.isfinite(trial.values.get(objective.name, math.nan)) for objective in study.objectives)
    return trial.state == "pruned" and 0.0 < study.violation(trial) < math.inf


def best_first(study: StudyView, trials: Sequence[Trial]) -> list[Trial]:
    """Sorts comparable trials; feasible ones come first.

    Feasible trials are ordered by the objective, or with several objectives by their non-dominated front and inside a
    front by descending crowding distance. Infeasible trials follow by ascending violation (the constraint domination
    of Deb et al., 2002, NSGA-II). Ties go to the earlier trial.

    Args:
        study: Study with the objectives and constraints.
        trials: Each one `comparable`.
    """
    feasible = [trial for trial in trials if study.is_candidate(trial)]
    infeasible = [trial for trial in trials if not study.is_candidate(trial)]
    infeasible.sort(key=lambda trial: (study.violation(trial), trial.number))
    if len(study.objectives) == 1:
        feasible.sort(key=lambda trial: (-study.score(trial), trial.number))
        return feasible + infeasible
    ranks, crowding = fronts(study, feasible)
    order = sorted(range(len(feasible)), key=lambda i: (ranks[i], -crowding[i], feasible[i].number))
    return [feasible[i] for i in order] + infeasible


def fronts(study: StudyView, trials: Sequence[Trial]) -> tuple[list[int], list[float]]:
    """Index of the non-dominated front of every trial, and its crowding distance inside that front.

    Args:
        study: Study with the objectives.
        trials: Feasible trials with all objectives.
    """
    if not trials:
        return [], []
    import moocore

    values = points(trials, study.objectives)
    maximise = [objective.direction == "max" for objective in study.objectives]
    ranks = np.asarray(moocore.pareto_rank(values, maximise=maximise))
    crowding = np.zeros(len(trials))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        crowding[members] = crowding_distance(values[members])
    return ranks.tolist(), crowding.tolist()


def crowding_distance(
    values: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Crowding distance of Deb et al. (2002), NSGA-II, section III-B: the summed side lengths of the box of neighbours.

    Args:
        values: float64 (trials, objectives) of one front.

    Returns:
        float64 (trials,); infinite at the ends of every objective.
    """
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        span = ordered[-1] - ordered[0]
        distance[order[[0, -1]]] = math.inf
        if span > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
    return distance
