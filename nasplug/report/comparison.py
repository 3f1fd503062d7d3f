"""Several studies side by side on a page: the tables of `nasplug compare`, or what can be said without a common aim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.report import across_tables
from nasplug.report.across import compare
from nasplug.report.formats import duration, number, text
from nasplug.report.labels import heading
from nasplug.report.tables import Table

if TYPE_CHECKING:
    from nasplug.ledger.study import Study


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A comparison as the page shows it.

    Attributes:
        tables: Captions and tables.
        note: Sentence on how to read them.
    """

    tables: list[tuple[str, Table]]
    note: str


def comparison(studies: Sequence[Study], titles: Sequence[str]) -> SideBySide:
    """Returns the tables of several studies.

    Args:
        studies: Two or more studies.
        titles: Name of each on the page, all different.
    """
    aims = set(studies[0].objectives)
    if not aims or any(set(study.objectives) != aims for study in studies):
        return SideBySide([("studies", _apart(studies, titles))], "The studies have different objectives.")
    found = compare(dict(zip(titles, studies, strict=True)))
    shown = [
        (each.title, Table([text(c) for c in each.columns], [i >= each.texts for i in range(len(each.columns))], [
            [text(cell) for cell in row] for row in each.rows
        ]))
        for each in across_tables.tables(found)
    ]  # fmt: skip
    where = ", ".join(f"{text(name)} = {number(value)}" for name, value in found.reference.items())
    note = f"Hypervolumes share one reference point, the worst feasible value in any study: {where}." if where else ""
    return SideBySide(shown, note)


def _apart(studies: Sequence[Study], titles: Sequence[str]) -> Table:
    names = list(dict.fromkeys(o.name for study in studies for o in study.objectives))
    best = [study.best if study.candidates() else None for study in studies]
    seconds = [sum(trial.seconds for trial in study.trials if trial.copied_from is None) for study in studies]
    columns = {
        "study": list(titles),
        "architecture": ["-" if t is None else heading(study, t) for study, t in zip(studies, best, strict=True)],
        **{text(n): ["-" if t is None or n not in t.values else number(t.values[n]) for t in best] for n in names},
        "trials": [f"{len(study.trials):,}" for study in studies],
        "time": [duration(value) for value in seconds],
    }
    numeric = [index > 1 for index in range(len(columns))]
    return Table(list(columns), numeric, [list(row) for row in zip(*columns.values(), strict=True)])


def check(studies: Sequence[Study]) -> None:
    """Refuses a report about nothing.

    Args:
        studies: Studies of the page.

    Raises:
        StudyError: There is none.
    """
    if not studies:
        raise StudyError("a report needs a study", where="report", fix="name one or more")
