"""What changes over the trials of a search: the numbers behind the plots."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.records import Objective, Trial
from nasplug.ledger import pareto

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Exact hypervolume takes time exponential in the number of objectives.
MOST_OBJECTIVES = 6
#: Parts of a name that tell a metric of test data, which no reader of a search should choose by.
_TEST = ("test",)
#: Last parts of names that count or identify, whatever their values are.
_COUNTERS = frozenset(
    {"generation", "index", "individual", "iteration", "number", "id", "parent", "seed", "step", "trial"}
)
#: Number of trials that are compared with a front in one go.
_AT_ONCE = 256
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
        value = value_of(trial, objective.name)
        if objective.sign * value > best:
            best = objective.sign * value
            found.append((trial.number, value))
    return found


def worst_point(trials: Sequence[Trial], objectives: Sequence[Objective]) -> dict[str, float]:
    """The worst value of each objective among the trials, a reference for the hypervolume; empty without trials."""
    if not trials:
        return {}
    points = pareto.points(trials, objectives)
    return {
        o.name: float(column.min() if o.direction == "max" else column.max())
        for o, column in zip(objectives, points.T, strict=True)
    }


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
    points = pareto.points(trials, objectives) * signs
    front = np.empty((0, len(objectives)))
    found: list[tuple[int, float]] = []
    for start in range(0, len(points), _AT_ONCE):
        some = points[start : start + _AT_ONCE]
        # What the front of all earlier trials dominates, or equals, can be left out in one go.
        open_ = ~(front[None] <= some[:, None]).all(axis=2).any(axis=1)
        for index in np.flatnonzero(open_):
            point = some[index]
            if (front <= point).all(axis=1).any():
                continue
            front = np.vstack([front[~(point <= front).all(axis=1)], point])
            volume = float(moocore.hypervolume(front, ref=corner))
            if not found or volume > found[-1][1]:
                found.append((trials[start + int(index)].number, volume))
    return found


def provenance(trials: Sequence[Trial], least: int = 3) -> dict[str, list[tuple[int, float]]]:
    """Numbers that strategies noted in `proposal.info`, as (trial number, value) by name.

    Nested mappings are flattened with dots. A number is kept if at least `least` trials have it and it tells
    something: neither what is constant nor what merely counts, see `counts`.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for trial in trials:
        for name, value in _numbers(trial.proposal.info):
            found.setdefault(name, []).append((trial.number, value))
    return {
        name: points
        for name, points in found.items()
        if len(points) >= least and len({value for _, value in points}) > 1 and not counts(name, points)
    }


def counts(name: str, points: Sequence[tuple[int, float]]) -> bool:
    """Whether a number only counts or names something, such as a generation, so that a plot of it shows a staircase.

    Args:
        name: Name of the number; its last part may say so.
        points: (trial number, value), ascending by number.
    """
    values = [value for _, value in points]
    if not all(value.is_integer() for value in values):
        return False
    if re.split(r"[._/ ]", name.lower())[-1] in _COUNTERS:
        return True
    steps = [after - before for before, after in itertools.pairwise(values)]
    if all(step >= 0 for step in steps):
        return True
    lowest = min(values)
    return all(step == 1 or after == lowest for step, after in zip(steps, values[1:], strict=True))


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
    candidates = study.candidates()
    counted = {trial.number for trial in candidates}
    good = [trial for trial in candidates if trial.copied_from is None]
    rest = [t for t in study.trials if t.copied_from is None and t.state == "complete" and t.number not in counted]
    good.sort(key=lambda trial: pareto.best_key(trial, study.objectives), reverse=True)
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
    metrics = dict.fromkeys(name for trial in study.trials for name in trial.metrics)
    recorded.update(dict.fromkeys(name for name in metrics if name.rsplit("/", 1)[-1] in _USUAL))
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
