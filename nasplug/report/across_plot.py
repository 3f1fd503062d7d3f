"""The comparison of studies as a picture: the way to the best, and the fronts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.files import complete_file
from nasplug.optional import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug.report.across import Comparison

#: Formats of pictures.
PICTURES = (".png", ".svg", ".pdf")


def write_picture(found: Comparison, path: Path) -> None:
    """Writes the picture.

    Args:
        found: The comparison.
        path: Path whose ending names the format.

    Raises:
        SpecError: The ending is unknown.
        MissingExtraError: matplotlib is not installed.
    """
    ending = path.suffix.lower()
    if ending not in PICTURES:
        raise SpecError(f"cannot write {path.name!r}", where="--out", fix=f"end it with .html, {', '.join(PICTURES)}")
    figure = _figure(found)
    with complete_file(path, "the comparison") as temporary:
        figure.savefig(temporary, format=ending[1:], dpi=150, bbox_inches="tight")


def _figure(found: Comparison) -> Figure:
    require("matplotlib", extra="report", purpose="draw the comparison")
    from matplotlib.figure import Figure

    main = found.objectives[0]
    both = len(found.objectives) > 1
    figure = Figure(figsize=(11 if both else 6, 4))
    axes = figure.subplots(1, 2 if both else 1, squeeze=False)[0]
    for row in found.rows:
        known = [(step, value) for step, value in enumerate(row.curve, start=1) if value is not None]
        axes[0].step([step for step, _ in known], [value for _, value in known], where="post", label=row.name)
        if both:
            front = row.study.pareto()
            x, y = ([trial.values[each.name] for trial in front] for each in (found.objectives[1], main))
            axes[1].plot(x, y, marker="o", linestyle="none", label=row.name)
    axes[0].set(xlabel="trials", ylabel=main.name, title=f"best {main.name} so far")
    if both:
        axes[1].set(xlabel=found.objectives[1].name, ylabel=main.name, title="Pareto fronts")
    axes[0].legend(fontsize="small")
    return figure
