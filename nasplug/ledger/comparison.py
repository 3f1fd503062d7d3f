"""What a trial has over the baseline: costs as ratios, metrics as differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Objective, Trial
from nasplug.ledger.facts import Facts

#: Costs that are compared even where they are not objectives.
ALWAYS = ("params", "macs")


class Difference(msgspec.Struct, frozen=True):
    """One value of a trial beside that of the baseline.

    Attributes:
        name: Cost or metric.
        kind: `ratio` of the baseline's cost to the trial's, so that more than 1 is smaller; or `difference` of the
            trial's metric and the baseline's.
        value: The ratio or the difference.
        points: Whether the metric is a share, so that its difference is said in points of a hundred.
    """

    name: str
    kind: Literal["ratio", "difference"]
    value: float
    points: bool = False

    def __str__(self) -> str:
        if self.kind == "ratio":
            size, word = (self.value, "smaller") if self.value >= 1 else (1 / self.value, "larger")
            return f"{self.name} the same" if f"{size:.3g}" == "1" else f"{self.name} {size:.3g}x {word}"
        change = f"{100 * self.value:+.1f}"
        return " ".join((self.name, change, "points")) if self.points else f"{self.name} {self.value:+.3g}"

    def to_json(self) -> dict[str, Json]:
        """Returns plain data: `{"ratio": 12.3}` or `{"difference": -0.003}`."""
        return {self.kind: self.value}


def compared(trial: Trial, baseline: Trial | None, objectives: Sequence[Objective]) -> list[Difference]:
    """Returns what a trial has over the baseline: in every objective, and in size.

    Args:
        trial: The trial.
        baseline: The baseline; nothing is compared with one that failed.
        objectives: Objectives of the study.
    """
    if baseline is None or baseline.state != "complete":
        return []
    best = {objective.name: objective.direction for objective in objectives}
    found = []
    for name in dict.fromkeys([*best, *ALWAYS]):
        here, there = trial.values.get(name), baseline.values.get(name)
        if here is None or there is None or not (math.isfinite(here) and math.isfinite(there)):
            continue
        if name in trial.costs and here > 0 and there > 0:
            found.append(Difference(name, "ratio", there / here))
        else:
            share = best.get(name) == "max" and 0 <= here <= 1 and 0 <= there <= 1
            found.append(Difference(name, "difference", here - there, share))
    return found


def difference_json(trial: Trial, baseline: Trial | None, objectives: Sequence[Objective]) -> dict[str, Json] | None:
    """Returns `compared` as plain data by name; None without a baseline that has a result."""
    found = compared(trial, baseline, objectives)
    return {each.name: each.to_json() for each in found} if found else None


def described(baseline: Trial, objectives: Sequence[Objective]) -> str:
    """Returns one sentence on what became of the baseline."""
    if baseline.state == "complete":
        names = [objective.name for objective in objectives] + list(ALWAYS)
        values = [f"{name} {baseline.values[name]:.4g}" for name in dict.fromkeys(names) if name in baseline.values]
        return f"the baseline {baseline.label} is trained: {', '.join(values)}"
    reason = baseline.reason if baseline.failure is None else baseline.failure.message
    return f"the baseline {baseline.label} has no result, and the search goes on without it: {reason}"


def read_baseline(facts: Facts | Mapping[str, object]) -> Trial | None:
    """Returns the baseline that a study file holds.

    Raises:
        StorageError: The record is damaged.
    """
    data = facts.get("baseline")
    record = data.get("trial") if isinstance(data, Mapping) else None
    try:
        return None if record is None else Trial.decode(msgspec.json.encode(record))
    except ValueError as error:
        raise StorageError("the baseline in this file cannot be read", why=str(error)) from error
