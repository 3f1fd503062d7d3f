"""What a trial has over the baseline: costs as ratios, metrics as differences with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import msgspec

from nasplug.contract.errors import StorageError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Objective, Trial
from nasplug.contract.wording import plural
from nasplug.ledger import intervals
from nasplug.ledger.facts import Facts
from nasplug.ledger.intervals import Interval

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

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
        interval: Ends of the 95 % interval of a difference, where the number of samples or several seeds tell it.
        seeds: Number of trainings that the value is a mean of.
    """

    name: str
    kind: Literal["ratio", "difference"]
    value: float
    points: bool = False
    interval: Interval | None = None
    seeds: int = 1

    def __str__(self) -> str:
        if self.kind == "ratio":
            size, word = (self.value, "smaller") if self.value >= 1 else (1 / self.value, "larger")
            return f"{self.name} the same" if f"{size:.3g}" == "1" else f"{self.name} {size:.3g}x {word}"
        change = f"{100 * self.value:+.1f}"
        said = " ".join((self.name, change, "points")) if self.points else f"{self.name} {self.value:+.3g}"
        if self.interval is not None:
            said += " [{}, {}]".format(
                *(f"{100 * end:+.1f}" if self.points else f"{end:+.3g}" for end in self.interval)
            )
        return f"{said} over {plural(self.seeds, 'seed')}" if self.seeds > 1 else said

    def to_json(self) -> dict[str, Json]:
        """Returns plain data: `{"ratio": 12.3}`, or `{"difference": -0.003, "interval": [-0.02, 0.01], "seeds": 1}`."""
        if self.kind == "ratio":
            return {"ratio": self.value}
        interval = None if self.interval is None else list(self.interval)
        return {"difference": self.value, "interval": interval, "seeds": self.seeds}


class AgainstBaseline:
    """What the trials of a study have over its baseline: in every objective, and in size.

    The interval of a metric comes from trainings of the same network that differ in their seeds, where the study has
    them, and else, for a share of validation samples, from the number of samples.

    Args:
        study: The study. Nothing is compared with a baseline that failed, or with none.
    """

    def __init__(self, study: Study) -> None:
        baseline = study.baseline
        self._baseline: Trial | None = baseline if baseline is not None and baseline.state == "complete" else None
        self._best = {objective.name: objective.direction for objective in study.objectives}
        self._samples: Mapping[str, int] = study.meta.get("samples", {})
        self._alike: dict[object, list[Trial]] = {}
        for trial in study.trials if self._baseline is not None else ():
            if trial.state == "complete" and trial.copied_from is None:
                self._alike.setdefault(_network(trial), []).append(trial)

    def of(self, trial: Trial) -> list[Difference]:
        """Returns the differences; none for what has no result, and for the baseline itself."""
        if self._baseline is None or trial.state != "complete" or trial.number == self._baseline.number:
            return []
        found = []
        for name in dict.fromkeys([*self._best, *ALWAYS]):
            here, there = trial.values.get(name), self._baseline.values.get(name)
            if here is None or there is None or not (math.isfinite(here) and math.isfinite(there)):
                continue
            if (name in trial.costs or name in self._baseline.costs) and here > 0 and there > 0:
                found.append(Difference(name, "ratio", there / here))
            else:
                found.append(self._difference(name, trial, here, there))
        return found

    def said(self, trial: Trial) -> str:
        """Returns the differences in words, such as `params 12.3x smaller, val_acc -0.3 points [-1.1, +0.5]`."""
        return ", ".join(map(str, self.of(trial)))

    def to_json(self, trial: Trial) -> dict[str, Json] | None:
        """Returns the differences as plain data by name; None without any."""
        found = self.of(trial)
        return {each.name: each.to_json() for each in found} if found else None

    def _difference(self, name: str, trial: Trial, here: float, there: float) -> Difference:
        points = self._best.get(name) == "max" and 0 <= here <= 1 and 0 <= there <= 1
        seeds = [each.metrics[name] for each in self._alike.get(_network(trial), ()) if name in each.metrics]
        if name in trial.metrics and len(seeds) > 1 and all(map(math.isfinite, seeds)):
            interval = intervals.repeated_difference(seeds, there)
            return Difference(name, "difference", fmean(seeds) - there, points, interval, len(seeds))
        samples = self._samples.get(name, 0)
        known = samples > 0 and points
        return Difference(
            name,
            "difference",
            here - there,
            points,
            intervals.share_difference(here, there, samples) if known else None,
        )


def _network(trial: Trial) -> object:
    """Equal for trainings that differ in nothing but their seeds."""
    proposal = trial.proposal
    return trial.architecture.key, msgspec.json.encode(dict(trial.hyperparameters)), proposal.budget, proposal.inherits


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
