"""Several studies side by side: best, front, hypervolume against one reference, budget, time, and the way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Objective, Trial
from nasplug.ledger.comparison import ALWAYS

if TYPE_CHECKING:
    from nasplug.ledger.study import Study


@dataclass(frozen=True)
class Row:
    """One study in a comparison.

    Attributes:
        name: Name that tells it from the others.
        study: The study.
        states: Number of trials by state.
        epochs: Epochs that were trained, copies and table look-ups not counted.
        seconds: Time in trials.
        front: Number of non-dominated trials.
        hypervolume: Dominated volume up to the reference that all studies share; None if no trial counts.
        curve: Best value of the first objective after each trial; None before there is one.
    """

    name: str
    study: Study
    states: Mapping[str, int]
    epochs: int
    seconds: float
    front: int
    hypervolume: float | None
    curve: tuple[float | None, ...]

    @property
    def best(self) -> Trial | None:
        """The best trial, if there is one."""
        return self.study.best if self.study.candidates() else None


@dataclass(frozen=True)
class Comparison:
    """Studies with the same objectives.

    Attributes:
        objectives: Objectives of all of them.
        reference: Point up to which hypervolumes are measured.
        rows: One for each study, as they were given.
    """

    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    rows: tuple[Row, ...]

    def checkpoints(self) -> list[int]:
        """Numbers of trials at which all studies are compared: 1, 2, 5, 10, ... and the length of the shortest."""
        longest = min((len(row.curve) for row in self.rows), default=0)
        steps = [factor * 10**power for power in range(9) for factor in (1, 2, 5)]
        return sorted({step for step in steps if step < longest} | ({longest} if longest else set()))

    def costs(self) -> list[str]:
        """Names of the costs that the best trials have, objectives not included."""
        wanted = {objective.name for objective in self.objectives}
        found = dict.fromkeys(name for row in self.rows if row.best is not None for name in row.best.costs)
        return sorted((name for name in found if name not in wanted), key=lambda name: (name not in ALWAYS, name))

    def to_json(self) -> dict[str, Json]:
        """Returns plain data with stable keys."""
        return {
            "objectives": {objective.name: objective.direction for objective in self.objectives},
            "reference": dict(self.reference),
            "studies": [self._row_json(row) for row in self.rows],
        }

    def _row_json(self, row: Row) -> dict[str, Json]:
        best, baseline = row.best, row.study.baseline
        return {
            "study": row.name,
            "label": None if best is None else row.study.label(best),
            "best": None if best is None else best.number,
            "values": {} if best is None else dict(best.values),
            "baseline": None if baseline is None else baseline.label,
            "against_baseline": None if best is None else row.study.against.to_json(best),
            "trials": len(row.curve),
            "states": dict(row.states),
            "epochs": row.epochs,
            "seconds": row.seconds,
            "front": row.front,
            "hypervolume": row.hypervolume,
            "best_so_far": {str(step): row.curve[step - 1] for step in self.checkpoints()},
        }


def compare(studies: Mapping[str, Study], reference: Mapping[str, float] | None = None) -> Comparison:
    """Compares studies.

    Args:
        studies: Studies by name.
        reference: Value of every objective up to which hypervolumes are measured; default: the worst value that any
            trial of any of the studies has.

    Raises:
        StudyError: Their objectives differ, so that no value of one says anything about another.
    """
    names = list(studies)
    objectives = studies[names[0]].objectives
    for name in names[1:]:
        if set(studies[name].objectives) != set(objectives):
            raise StudyError(
                f"{names[0]!r} and {name!r} have different objectives",
                where="compare",
                why=f"{_said(objectives)} here, {_said(studies[name].objectives)} there",
                fix="compare studies that looked for the same",
            )
    corner = dict(reference) if reference is not None else _worst(list(studies.values()), objectives)
    rows = tuple(_row(name, study, objectives[0], corner) for name, study in studies.items())
    return Comparison(tuple(objectives), corner, rows)


def names_of(paths: Sequence[str]) -> list[str]:
    """Returns the shortest ends of paths that tell them apart: `a.sqlite`, or `seed1/a.sqlite`."""
    parts = [Path(path).parts for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def against(row: Row) -> str:
    """Returns what the best trial of a study has over its baseline, as text; empty without one."""
    if row.best is None:
        return ""
    return row.study.against.said(row.best)


def _row(name: str, study: Study, main: Objective, reference: Mapping[str, float]) -> Row:
    own = [trial for trial in study.trials if trial.copied_from is None]
    states = [trial.state for trial in study.trials]
    counts = {str(state): states.count(state) for state in sorted(set(states))}
    volume = study.hypervolume(reference) if study.candidates() else None
    epochs = sum(len(trial.measurements) for trial in own)
    seconds = sum(trial.seconds for trial in own)
    return Row(name, study, counts, epochs, seconds, len(study.pareto()), volume, _curve(study, main))


def _curve(study: Study, main: Objective) -> tuple[float | None, ...]:
    best: float | None = None
    found: list[float | None] = []
    for trial in study.trials:
        if study.is_candidate(trial):
            value = trial.values[main.name]
            best = value if best is None or main.sign * value > main.sign * best else best
        found.append(best)
    return tuple(found)


def _worst(studies: Sequence[Study], objectives: Sequence[Objective]) -> dict[str, float]:
    values = [trial.values for study in studies for trial in study.candidates()]
    return {
        each.name: (min if each.direction == "max" else max)(value[each.name] for value in values)
        for each in objectives
        if values
    }


def _said(objectives: Sequence[Objective]) -> str:
    return ", ".join(f"{objective.name} ({objective.direction})" for objective in objectives)
