"""Fronts of an exploration as files: JSON, CSV, a picture, or a page."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_npu.exploration import Exploration
from nasplug_npu.roofline import label_inside_decades, new_figure

ENDINGS = (".json", ".csv", ".html", ".png", ".svg", ".pdf")


def write_front(found: Exploration, path: str | Path, title: str = "") -> Path:
    """Writes a front; the ending of the path decides the form.

    Raises:
        SpecError: An ending without a form.
        MissingExtraError: matplotlib is needed and not installed.
    """
    file = Path(path)
    if file.suffix == ".json":
        file.write_text(json.dumps(found.to_json(), indent=1), encoding="utf-8")
    elif file.suffix == ".csv":
        file.write_text(_table(found), encoding="utf-8")
    elif file.suffix == ".html":
        file.write_text(page(found, title), encoding="utf-8")
    elif file.suffix in ENDINGS:
        _drawing(found, title).savefig(file)
    else:
        raise SpecError(f"{file.name!r} has no known ending", where="--out", fix=f"use one of {', '.join(ENDINGS)}")
    return file


def _table(found: Exploration) -> str:
    text, rows = io.StringIO(), found.rows()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _drawing(found: Exploration, title: str) -> Any:
    """The first two objectives; the colour is the third."""
    figure = new_figure()
    axes = figure.add_subplot()
    seen, front = found.evaluated, found.values
    if front.shape[1] < 2:
        raise SpecError("a picture needs two objectives", where="--out", fix="write .json or .csv")
    axes.loglog(seen[:, 0], seen[:, 1], ".", color="#cccccc", markersize=3, label="evaluated", zorder=1)
    shades: dict[str, Any] = {"c": front[:, 2], "cmap": "viridis"} if front.shape[1] > 2 else {"color": "#4269d0"}
    spots = axes.scatter(front[:, 0], front[:, 1], s=24, zorder=3, label="front", **shades)
    if front.shape[1] > 2:
        figure.colorbar(spots, label=found.objectives[2])
    knee = front[found.knee]
    axes.plot(knee[0], knee[1], "o", markersize=11, markerfacecolor="none", color="#ff725c", label="knee")
    label_inside_decades(axes)
    axes.set_xlabel(found.objectives[0])
    axes.set_ylabel(found.objectives[1])
    axes.set_title(title)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(fontsize=8)
    return figure


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }}
tr.knee td {{ font-weight: 600; }} svg {{ max-width: 100%; height: auto; }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
{picture}
<h2>Front</h2>
<p>The bold row is the knee: nearest to the best of every objective.</p>
{table}
<h2>Layers of the search</h2>
{counts}
</body></html>
"""


def page(found: Exploration, title: str) -> str:
    """One HTML file without scripts and without anything from elsewhere."""
    text = io.StringIO()
    _drawing(found, "").savefig(text, format="svg")
    picture = text.getvalue()
    rows, counts = found.rows(), found.counts
    summary = (
        f"{plural(counts['space'], 'unit')}; {counts['invalid']:,} break a rule, {counts['too_large']:,} exceed the "
        f"area budget, {counts['dominated']:,} cannot be on the front by their lower bounds, {counts['evaluated']:,} "
        f"were evaluated, of which {counts['unfit']:,} cannot hold the network; {counts['front']:,} are on the front."
    )
    if found.unpriced:
        summary += f" {unpriced_note(found.unpriced)}."
    seconds = [{"step": name, "seconds": value} for name, value in found.seconds.items()]
    return _PAGE.format(
        title=html.escape(title or "Exploration"),
        summary=html.escape(summary),
        picture=picture[picture.index("<svg") :],
        table=_html_table(rows, found.knee),
        counts=_html_table(seconds, -1),
    )


def unpriced_note(names: Sequence[str]) -> str:
    """A sentence about layers that cost nothing."""
    return f"Not priced, and charged no time: {plural(len(names), 'layer')}, such as {names[0]!r}"


def _html_table(rows: list[dict[str, Any]], marked: int) -> str:
    def cell(value: Any) -> str:
        return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))

    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        f"<tr{' class=knee' if index == marked else ''}>"
        + "".join(f"<td>{cell(v)}</td>" for v in row.values())
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
