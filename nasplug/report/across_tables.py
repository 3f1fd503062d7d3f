"""The tables of a comparison of studies, as text."""

from __future__ import annotations

from dataclasses import dataclass

from nasplug.contract.labels import shortened
from nasplug.report.across import Comparison, against
from nasplug.report.formats import duration, number


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: Line above it.
        columns: Headings.
        rows: Cells.
        texts: Number of columns, from the left, that hold texts.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    texts: int = 1


def tables(found: Comparison) -> list[Table]:
    """Returns the best trials, the effort with the front, and the way to the best."""
    return [_best(found), _effort(found), _way(found)]


def _best(found: Comparison) -> Table:
    names = [*(objective.name for objective in found.objectives), *found.costs()]
    rows = []
    for row in found.rows:
        trial = row.best
        label = "-" if trial is None else f"{shortened(row.study.label(trial), 40)} (trial {trial.number})"
        values = {} if trial is None else trial.values
        rows.append([row.name, label, against(row), *(_number(values.get(name)) for name in names)])
    if not any(row[2] for row in rows):
        return Table("best trials", ["study", "architecture", *names], [[*row[:2], *row[3:]] for row in rows], 2)
    return Table("best trials", ["study", "architecture", "against its baseline", *names], rows, 3)


def _effort(found: Comparison) -> Table:
    states = ("complete", "pruned", "failed")
    rows = [
        [
            row.name,
            str(len(row.curve)),
            *(str(row.states.get(state, 0)) for state in states),
            str(row.epochs),
            duration(row.seconds),
            str(row.front),
            "-" if row.hypervolume is None else f"{row.hypervolume:.6g}",
        ]
        for row in found.rows
    ]
    return Table("effort and front", ["study", "trials", *states, "epochs", "time", "front", "hypervolume"], rows)


def _way(found: Comparison) -> Table:
    steps = found.checkpoints()
    rows = [[row.name, *(_number(row.curve[step - 1]) for step in steps)] for row in found.rows]
    return Table(f"{found.objectives[0].name}: the best after so many trials", ["study", *map(str, steps)], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else number(value)
