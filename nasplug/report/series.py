"""What changes over the trials of a search: the numbers behind the plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.records import Objective, Trial

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Exact hypervolume takes time exponential in the number of objectives.
MOST_OBJECTIVES = 6
#: Parts of a name that tell a metric of test data, which no reader of a search should choose by.
_TEST = ("test",)
_USUAL = ("params", "macs", "latency_s", "energy_j")


def is_test(name: str) -> bool:
    """Whether a metric is one of test data, by its name (`test_acc`, `test/loss`)."""
    return name.lower().startswith(_TEST)


def value_of(trial: Trial, name: str) -> float:
    """A metric or cost as a float; NaN if it is missing or no number."""
    value: Any = trial.values.get(name, math.nan)
    return float(value) if isinstance(value, (int, float)) else math.nan


def running_best(study: Study) -> list[tuple[int, float]]:
    """(trial number, main objective) at every trial that became the best feasible one."""
    if not study.objectives:
        return []
    objective, found, best = study.objectives[0], [], -math.inf
    for trial in study.candidates():
        score = objective.sign * value_of(trial, objective.name)
        if score > best:
            best = score
            found.append((trial.number, value_of(trial, objective.name)))
    return found


def worst_point(trials: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, float]:
    """The worst value of each objective among the trials, a reference for the hypervolume; empty without trials."""
    if not trials:
        return {}
    return {o.name: o.sign * min(o.sign * value_of(trial, o.name) for trial in trials) for o in objectives}


def hypervolume_series(
    trials: Sequence[Trial], objectives: Sequence[Objective], reference: Mapping[str, float]
) -> list[tuple[int, float]]:
    """(trial number, hypervolume of all trials so far) at every trial that enlarged it.

    Args:
        trials: Candidates, ascending by number.
        objectives: Objectives, at most `MOST_OBJECTIVES`.
        reference: A value per objective.
    """
    import moocore

    signs = np.array([-objective.sign for objective in objectives])
    corner = np.array([reference[objective.name] for objective in objectives]) * signs
    front = np.empty((0, len(objectives)))
    found: list[tuple[int, float]] = []
    for trial in trials:
        point = signs * np.array([value_of(trial, objective.name) for objective in objectives])
        if (front <= point).all(axis=1).any():
            continue  # dominated by, or equal to, an earlier trial
        front = np.vstack([front[~(point <= front).all(axis=1)], point])
        volume = float(moocore.hypervolume(front, ref=corner))
        if not found or volume > found[-1][1]:
            found.append((trial.number, volume))
    return found


def provenance(trials: Sequence[Trial], least: int = 3) -> dict[str, list[tuple[int, float]]]:
    """Numbers that strategies noted in `proposal.info`, as (trial number, value) by name.

    Nested mappings are flattened with dots. A number is kept if at least `least` trials have it and it changes: what
    is constant tells nothing.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for trial in trials:
        for name, value in _numbers(trial.proposal.info):
            found.setdefault(name, []).append((trial.number, value))
    return {
        name: points
        for name, points in found.items()
        if len(points) >= least and len({value for _, value in points}) > 1
    }


def _numbers(info: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in info.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def curve(trial: Trial, name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric over a training; steps without a finite value are left out."""
    points = [(m.step, m.metrics[name]) for m in trial.measurements if name in m.metrics]
    return [(step, float(value)) for step, value in points if isinstance(value, (int, float)) and math.isfinite(value)]


def curve_metrics(trials: Sequence[Trial], objectives: Sequence[Objective], most: int = 4) -> list[str]:
    """Which metrics have learning curves worth drawing: objectives first, never those of test data."""
    names = dict.fromkeys([objective.name for objective in objectives])
    names.update(dict.fromkeys(key for trial in trials for m in trial.measurements for key in m.metrics))
    shown = [
        name
        for name in names
        if not is_test(name) and name != "epoch" and any(len(curve(trial, name)) > 1 for trial in trials)
    ]
    return shown[:most]


def ranking(study: Study) -> list[Trial]:
    """Complete trials, best first: feasible ones by the objectives, then the others by how far they miss.

    Trials that repeat an earlier one are left out.
    """
    from nasplug.ledger.pareto import best_key

    originals = [trial for trial in study.trials if trial.copied_from is None and trial.state == "complete"]
    good = [trial for trial in originals if study.is_candidate(trial)]
    rest = [trial for trial in originals if not study.is_candidate(trial)]
    good.sort(key=lambda trial: best_key(trial, study.objectives), reverse=True)
    rest.sort(key=lambda trial: (study.violation(trial), trial.number))
    return [*good, *rest]


def front(study: Study) -> list[Trial]:
    """The Pareto front, best first by the main objective; with one objective, its best trial."""
    return study.pareto() if study.objectives else []


def cost_axis(study: Study) -> Objective | None:
    """With a single objective: a recorded cost to plot it against, the usual ones first.

    Evaluators that know costs themselves answer them as metrics; their usual names tell.
    """
    recorded = dict.fromkeys(name for trial in study.trials for name in trial.costs)
    recorded.update(dict.fromkeys(n for t in study.trials for n in t.metrics if n.rsplit("/", 1)[-1] in _USUAL))
    names = [name for name in recorded if name not in {objective.name for objective in study.objectives}]

    def rank(name: str) -> tuple[int, str]:
        last = name.rsplit("/", 1)[-1]
        return (_USUAL.index(last) if last in _USUAL else len(_USUAL), name)

    varied = [
        name
        for name in sorted(names, key=rank)
        if len({v for trial in study.trials if math.isfinite(v := value_of(trial, name))}) > 1
    ]
    return Objective(varied[0], "min") if varied else None
