"""The picture of a comparison: mean regret over queries, with bands of the standard error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasplug.contract.wording import plural
from nasplug.report.figures import LIGHT, Picture, new_figure, save_png, style
from nasplug_tables.bench.comparison import Comparison, Outcome
from nasplug_tables.bench.curves import Floats, bands

#: Colours of lines; after them, dashes tell lines apart.
_HUES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")
_GRID = 200


def draw(comparison: Comparison, folder: str | Path) -> Path:
    """Writes `regret.png`.

    Args:
        comparison: Comparison to draw. With a simulated clock the axis is simulated time.
        folder: Folder to write to; made if need be.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with style():
        return save_png(_picture(comparison), Path(folder))


def _picture(comparison: Comparison) -> Picture:
    from matplotlib.ticker import LogLocator, NullLocator

    figure = new_figure(8.6, 4.6)
    axes = figure.subplots()
    settings = comparison.settings
    hues = iter(_HUES * len(comparison.outcomes))
    for index, outcome in enumerate(comparison.outcomes.values()):
        hue = {"random": "muted", "regularized_evolution": "ink"}.get(outcome.label) or next(hues)
        x, curves = _curves(outcome)
        found = bands(curves)
        line = "-" if index < len(_HUES) + 2 else "--"
        axes.plot(x, found["mean"], line, color=LIGHT[hue], lw=1.7, label=outcome.label)
        low = np.maximum(found["mean"] - found["standard_error"], 1e-4)
        axes.fill_between(x, low, found["mean"] + found["standard_error"], color=LIGHT[hue], alpha=0.16, lw=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    first = next(iter(comparison.outcomes.values()))
    axes.set_xlabel("simulated hours" if first.finished is not None else "queries")
    axes.set_ylabel(f"regret, {settings['unit']}")
    axes.set_title(
        f"{settings['space']}: {settings['convention']} of {settings['test']}, searched by {settings['objective']}; "
        f"mean and standard error of {plural(len(settings['seeds']), 'seed')}"
    )
    axes.legend(ncols=2)
    return Picture("regret", figure, "Mean regret of " + ", ".join(comparison.outcomes))


def _curves(outcome: Outcome) -> tuple[Floats, Floats]:
    """Common x values and one curve per seed; over simulated time the curves are steps, read off on a grid."""
    if outcome.finished is None:
        whole = ~np.isnan(outcome.regret).any(axis=0)
        return np.arange(1, outcome.regret.shape[1] + 1, dtype=np.float64)[whole], outcome.regret[:, whole]
    hours = outcome.finished / 3600
    start, end = float(np.nanmax(hours[:, 0])), float(np.nanmin(np.nanmax(hours, axis=1)))
    grid = np.linspace(start, end, _GRID)
    curves = [
        regret[np.maximum(np.searchsorted(time, grid, side="right") - 1, 0)]
        for time, regret in zip(hours, outcome.regret, strict=True)
    ]
    return grid, np.stack(curves)
