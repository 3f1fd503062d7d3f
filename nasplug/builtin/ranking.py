"""Orders trials from best to worst, with several objectives and constraints; shared by the built-in strategies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from nasplug.contract.records import Trial
from nasplug.ledger.pareto import points
from nasplug.ledger.view import StudyView

if TYPE_CHECKING:
    import numpy.typing as npt


#: Order inside a non-dominated front: `crowding` distance of NSGA-II, or an `epsilon_net`.
Spread = Literal["crowding", "epsilon_net"]


def comparable(study: StudyView, trial: Trial) -> bool:
    """Whether a trial can be compared with others: it has all objectives, or is known to break a constraint.

    A trial that was rejected for a constraint before its training has no metrics, but its violation says how far it
    is from the feasible region. Failed trials, and trials that a stopper ended, tell neither.
    """
    if trial.state == "complete":
        return all(math.isfinite(trial.values.get(objective.name, math.nan)) for objective in study.objectives)
    return trial.state == "pruned" and 0.0 < study.violation(trial) < math.inf


def best_first(study: StudyView, trials: Sequence[Trial], spread: Spread = "crowding") -> list[Trial]:
    """Sorts comparable trials; feasible ones come first.

    Feasible trials are ordered by the objective, or with several objectives by their non-dominated front and inside a
    front by descending crowding distance, or so that each is far from those before it (`epsilon_net_order`).
    Infeasible trials follow by ascending violation (the constraint domination of Deb et al., 2002, NSGA-II).
    Ties go to the earlier trial.

    Args:
        study: Study with the objectives and constraints.
        trials: Each one `comparable`.
        spread: Order inside a front.
    """
    feasible = [trial for trial in trials if study.is_candidate(trial)]
    infeasible = [trial for trial in trials if not study.is_candidate(trial)]
    infeasible.sort(key=lambda trial: (study.violation(trial), trial.number))
    if len(study.objectives) == 1:
        feasible.sort(key=lambda trial: (-study.score(trial), trial.number))
        return feasible + infeasible
    ranks, crowding = fronts(study, feasible)
    if spread == "epsilon_net":
        crowding = _by_net(study, feasible, ranks)
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


def _by_net(study: StudyView, trials: Sequence[Trial], ranks: Sequence[int]) -> list[float]:
    """Minus the place of every trial in the epsilon net of its front."""
    found = np.zeros(len(trials))
    if trials:
        signs = np.array([-objective.sign for objective in study.objectives])
        values = points(trials, study.objectives) * signs
        for rank in set(ranks):
            members = np.flatnonzero(np.asarray(ranks) == rank)
            found[members[epsilon_net_order(values[members])]] = -np.arange(len(members))
    return [float(value) for value in found]


def epsilon_net_order(values: npt.NDArray[np.float64]) -> list[int]:
    """Positions in an order in which every point is the farthest one from all before it.

    Any beginning of the order covers the points as evenly as so many can. Objectives are scaled to [0, 1]; the first
    point is the best one in the first objective. Source: Schmucker, Donini, Zafar, Salinas and Archambeau,
    "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639, section 3.3.

    Args:
        values: float64 (points, objectives), the smaller the better.
    """
    span = values.max(axis=0) - values.min(axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
    order = [int(np.argmin(scaled[:, 0]))]
    distance = np.linalg.norm(scaled - scaled[order[0]], axis=1)
    while len(order) < len(values):
        distance[order] = -1.0
        order.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[order[-1]], axis=1))
    return order


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
