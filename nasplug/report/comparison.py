"""Several studies side by side: one table, with hypervolumes that may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.contract.errors import StudyError
from nasplug.ledger import pareto
from nasplug.report import series
from nasplug.report.formats import duration, number
from nasplug.report.labels import label
from nasplug.report.tables import Table

if TYPE_CHECKING:
    from nasplug.ledger.study import Study


def comparison(studies: Sequence[Study], titles: Sequence[str]) -> tuple[Table, str]:
    """Returns the table of several studies, and a sentence on how to read it.

    The best network of a study is its best by the study's first objective. Hypervolumes are there where all studies
    have the same objectives, two to six of them, and share one reference point: the worst feasible value of each
    objective in any of the studies.

    Args:
        studies: Two or more studies.
        titles: Name of each on the page.
    """
    names = list(dict.fromkeys(o.name for study in studies for o in study.objectives))
    columns: dict[str, list[str]] = {"study": list(titles)}
    columns["trials"] = [f"{len(study.trials):,}" for study in studies]
    columns["feasible"] = [f"{len(study.candidates()):,}" for study in studies]
    best = [study.best if study.candidates() else None for study in studies]
    for name in names:
        columns[name] = ["" if trial is None else number(trial.values.get(name, "")) for trial in best]
    note = "The best network of each study is the best one by its first objective."
    objectives = studies[0].objectives
    same = all(set(study.objectives) == set(objectives) for study in studies)
    if same and 2 <= len(objectives) <= series.MOST_OBJECTIVES:
        everything = [trial for study in studies for trial in study.candidates()]
        reference = series.worst_point(everything, objectives)
        columns["Pareto front"] = [str(len(study.pareto())) for study in studies]
        if reference:
            columns["hypervolume"] = [
                number(pareto.hypervolume(study.candidates(), objectives, reference)) for study in studies
            ]
            where = ", ".join(f"{name} = {number(value)}" for name, value in reference.items())
            note += f" Hypervolumes share one reference point, the worst feasible value in any study: {where}."
    elif not same:
        note += " The studies have different objectives, so hypervolumes cannot be compared."
    seconds = [sum(trial.seconds for trial in study.trials if trial.copied_from is None) for study in studies]
    columns["time in trials"] = [duration(value) for value in seconds]
    columns["best network"] = [
        "" if trial is None else f"{label(study, trial, 72)}, trial {trial.number}"
        for study, trial in zip(studies, best, strict=True)
    ]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    numeric = [name not in ("study", "best network") for name in columns]
    return Table(list(columns), numeric, rows), note


def check(studies: Sequence[Study]) -> None:
    """Refuses a report about nothing.

    Args:
        studies: Studies of the page.

    Raises:
        StudyError: There is none.
    """
    if not studies:
        raise StudyError("a report needs a study", where="report", fix="name one or more")
