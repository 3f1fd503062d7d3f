"""The tables of a report, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.contract.protocols import HasConditions, HasVector
from nasplug.contract.records import Trial
from nasplug.report import series
from nasplug.report.formats import duration, number, text
from nasplug.report.labels import label

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: How many trials the table of the best ones has.
TOP = 20


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, whether each holds numbers, and the rows as text."""

    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]


def trials(study: Study, shown: Sequence[Trial]) -> Table:
    """Trials with their results, costs and hyperparameters."""
    front = {trial.number for trial in series.front(study)} if len(study.objectives) > 1 else set()
    columns: list[tuple[str, list[str]]] = [("trial", [str(trial.number) for trial in shown])]
    if front:
        columns.append(("front", ["★" if trial.number in front else "" for trial in shown]))
    for name in value_names(study, shown):
        columns.append((text(name), [number(t.values[name]) if name in t.values else "" for t in shown]))
    for name in dict.fromkeys(name for trial in shown for name in trial.hyperparameters):
        cells = [t.hyperparameters.get(name, "") for t in shown]
        columns.append((text(name), [number(cell) for cell in cells]))
    columns.append(("epochs", [str(study.budget_of(trial).epochs) for trial in shown]))
    columns.append(("time", [duration(trial.seconds) for trial in shown]))
    columns.append(("network", [label(study, trial, 72) for trial in shown]))
    if study.baseline is not None:
        columns.append(("against the baseline", [text(study.against.said(trial)) for trial in shown]))
    if any(study.violation(trial) for trial in shown):
        columns.append(("breaks", [broken_constraints(study, trial) for trial in shown]))
    return Table(
        [name for name, _ in columns],
        [all(not cell or cell[0] in "-−<0123456789∞" for cell in cells) for _, cells in columns],
        [list(row) for row in zip(*(cells for _, cells in columns), strict=True)],
    )


def value_names(study: Study, trials: Iterable[Trial]) -> list[str]:
    """Objectives, then costs, then metrics that the trials have, without those of test data."""
    names = dict.fromkeys(objective.name for objective in study.objectives)
    shown = list(trials)
    names.update(dict.fromkeys(name for trial in shown for name in trial.costs))
    names.update(dict.fromkeys(name for trial in shown for name in trial.metrics))
    wanted = {objective.name for objective in study.objectives}
    return [name for name in names if name in wanted or not series.is_test(name)]


def broken_constraints(study: Study, trial: Trial) -> str:
    """Which constraints a trial breaks, with its values."""
    values = trial.values
    return ", ".join(
        f"{constraint} (is {number(values[constraint.name])})"
        if constraint.name in values
        else f"{constraint} (missing)"
        for constraint in study.constraints
        if constraint.violation(values)
    )


def choices(study: Study, trials: Sequence[Trial]) -> Table | None:
    """The decisions of each network side by side, for spaces that have named choices."""
    try:
        space = study.space
    except StudyError:
        return None
    if not isinstance(space, HasVector) or not trials:
        return None
    vectors = [space.vector(trial.architecture) for trial in trials]
    made = [_made(space, trial) for trial in trials]
    rows = [
        [
            text(choice.name),
            *(
                text(choice.value(vector[index])) if choice.name in names else "–"
                for vector, names in zip(vectors, made, strict=True)
            ),
        ]
        for index, choice in enumerate(space.choices)
    ]
    return Table(["choice", *(f"trial {trial.number}" for trial in trials)], [False] * (len(trials) + 1), rows)


def _made(space: HasVector, trial: Trial) -> set[str]:
    """Names of the choices that the trial's architecture makes."""
    if isinstance(space, HasConditions):
        return set(space.active(trial.architecture))
    return {choice.name for choice in space.choices}
