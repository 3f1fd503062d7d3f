"""Studies and running searches in a notebook: small pieces of HTML that need no extra."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.contract.labels import shortened
from nasplug.contract.wording import plural
from nasplug.report.formats import duration, number, text

if TYPE_CHECKING:
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study

#: Number of trials in the table.
SHOWN = 10


def study_html(study: Study) -> str:
    """Returns what a notebook shows of a study: counts, and its front or its best trials beside the baseline.

    Args:
        study: The study.
    """
    states = [trial.state for trial in study.trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed") if s in states)
    goals = ", ".join(f"{objective.name} {objective.direction}" for objective in study.objectives)
    head = f"<b>Study</b> of {plural(len(states), 'trial')} ({counts or 'none finished'}); {html.escape(text(goals))}"
    rows = _ranked(study)
    if not rows:
        return f"<p>{head}; no trial is complete and feasible</p>"
    baseline = study.baseline if study.baseline is not None and study.baseline.state == "complete" else None
    names = [objective.name for objective in study.objectives]
    names += [name for name in ("params", "macs") if name not in names and any(name in t.costs for t in rows)]
    columns = ["trial", "architecture", *names, *(["against the baseline"] if baseline else []), "time"]
    shown = [*([baseline] if baseline else []), *rows]
    cells = [
        [
            "baseline" if trial is baseline else str(trial.number),
            shortened(text(study.label(trial))),
            *(number(trial.values[name]) if name in trial.values else "" for name in names),
            *([study.against.said(trial)] if baseline else []),
            duration(trial.seconds),
        ]
        for trial in shown
    ]
    total = len(study.candidates()) if len(study.objectives) == 1 else len(study.pareto())
    kind = "best trials" if len(study.objectives) == 1 else "Pareto front"
    return f"<p>{head}</p>{table_html(columns, cells)}<p>{kind}: {len(rows)} of {total}</p>"


def table_html(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table; what stands in it is text."""
    head = "".join(f"<th>{html.escape(text(name))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(text(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def progress_html(done: int, total: int | None, words: str, best: str) -> str:
    """Returns a bar with what a search has found so far.

    Args:
        done: Number of finished trials.
        total: Number of trials in the end; None if only time ends the search.
        words: States of the trials and the time left.
        best: Best trial so far.
    """
    limit = f' max="{total}" value="{done}"' if total else ""
    count = f"{done}/{total}" if total else str(done)
    return (
        f'<div><progress{limit} style="width:20em;vertical-align:middle"></progress> {count} '
        f"{html.escape(text(words))}<br>best: {html.escape(text(best))}</div>"
    )


def _ranked(study: Study) -> list[Trial]:
    if len(study.objectives) > 1:
        return study.pareto()[:SHOWN]
    return sorted(study.candidates(), key=lambda trial: (-study.score(trial), trial.number))[:SHOWN]
