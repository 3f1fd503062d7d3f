"""The plots of a report. Every function returns None when there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from nasplug.contract.records import Objective, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.pareto import is_candidate, pareto_front
from nasplug.report import series
from nasplug.report.figures import CYCLE, LIGHT, Picture, new_figure
from nasplug.report.formats import number, shorten
from nasplug.report.labels import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nasplug.ledger.study import Study

WIDE, HALF = 10.6, 5.15  # inches: the whole page, and half of it
#: Beyond this the points of a plot are drawn as pixels, so that the page stays small.
_MOST_MARKS = 2500
_MOST_PANELS = 12
_MOST_BACKGROUND = 200


def progress(study: Study, width: float = WIDE) -> Picture | None:
    """Main objective of every trial over its number, with the running best."""
    if not study.trials or not study.objectives:
        return None
    name = study.objectives[0].name
    figure = new_figure(width, 3.1)
    axes = figure.subplots()
    groups: dict[str, list[tuple[int, float]]] = {"complete": [], "breaks a constraint": [], "pruned": []}
    absent: dict[str, list[int]] = {"failed": [], "pruned before training": [], "no finite value": []}
    for trial in study.trials:
        value = series.value_of(trial, name)
        if trial.state == "failed":
            absent["failed"].append(trial.number)
        elif not math.isfinite(value):
            absent["pruned before training" if trial.state == "pruned" else "no finite value"].append(trial.number)
        elif trial.state == "pruned":
            groups["pruned"].append((trial.number, value))
        else:
            groups["breaks a constraint" if study.violation(trial) else "complete"].append((trial.number, value))
    marks = {
        "complete": ("o", LIGHT["c1"], LIGHT["c1"]),
        "breaks a constraint": ("o", "none", LIGHT["c2"]),
        "pruned": ("v", LIGHT["muted"], LIGHT["muted"]),
    }
    for label, points in groups.items():
        marker, face, edge = marks[label]
        _dots(axes, points, label, marker=marker, markerfacecolor=face, markeredgecolor=edge, alpha=0.6)
    rug = {"failed": ("x", "c7"), "pruned before training": ("|", "muted"), "no finite value": ("x", "c2")}
    for label, numbers in absent.items():
        marker, hue = rug[label]
        style = {"marker": marker, "markeredgecolor": LIGHT[hue], "transform": axes.get_xaxis_transform()}
        _dots(axes, [(n, 0.0) for n in numbers], label, **style, clip_on=False, zorder=4)
    best = series.running_best(study)
    if best:
        last = study.trials[-1].number
        steps = [*best, (last, best[-1][1])]
        axes.step(
            [x for x, _ in steps], [y for _, y in steps], where="post", color=LIGHT["c3"], lw=1.8, label="best so far"
        )
    values = [value for points in groups.values() for _, value in points]
    _scale(axes, "y", values)
    if not values:  # nothing but marks on the axis
        axes.set_yticks([])
        figure.set_size_inches(width, 1.5)
    axes.set(xlabel="trial", ylabel=shorten(name, 40))
    _whole_numbers(axes)
    _legend(figure, least=1)
    alt = f"{name} of {plural(len(study.trials), 'trial')} over the trial number"
    if best:
        alt += f"; the best feasible value goes from {number(best[0][1])} to {number(best[-1][1])}"
    return Picture("progress", figure, alt, _progress_caption(study, absent))


def _progress_caption(study: Study, absent: dict[str, list[int]]) -> str:
    objective = study.objectives[0]
    better = "higher" if objective.direction == "max" else "lower"
    caption = f"{objective.name}: {better} is better."
    if any(absent.values()):
        caption += " Marks on the axis: trials without a value."
    return caption


def hypervolume(study: Study) -> Picture | None:
    """Dominated volume of the objective space over trials."""
    candidates, objectives = study.candidates(), study.objectives
    if not 2 <= len(objectives) <= series.MOST_OBJECTIVES or len(candidates) < 2:
        return None
    reference = series.worst_point(candidates, objectives)
    points = series.hypervolume_series(candidates, objectives, reference)
    if not points or points[-1][1] <= 0:
        return None
    figure = new_figure(HALF, 3.1)
    axes = figure.subplots()
    points.append((study.trials[-1].number, points[-1][1]))
    axes.step([x for x, _ in points], [y for _, y in points], where="post", color=LIGHT["c3"], lw=1.8)
    axes.set(xlabel="trial", ylabel="hypervolume", ylim=(0, None))
    _scale(axes, "y", [y for _, y in points], log=False)
    _whole_numbers(axes)
    where = ", ".join(f"{name} = {number(value)}" for name, value in reference.items())
    alt = f"Hypervolume over trials, ending at {number(points[-1][1])}"
    caption = (
        f"Reference point: the worst feasible value of each objective ({where}). Comparable inside this study only."
    )
    return Picture("hypervolume", figure, alt, caption)


def scatters(study: Study) -> list[Picture]:
    """Main objective against every other one, or against a recorded cost if it is the only one."""
    if not study.objectives:
        return []
    main, *others = study.objectives
    if not others:
        cost = series.cost_axis(study)
        others = [] if cost is None else [cost]
    return [p for index, other in enumerate(others[:4]) if (p := _scatter(study, main, other, index)) is not None]


def _scatter(study: Study, main: Objective, other: Objective, index: int) -> Picture | None:
    pair = (main, other)
    both = [
        trial
        for trial in study.trials
        if trial.state == "complete" and all(math.isfinite(series.value_of(trial, o.name)) for o in pair)
    ]
    if not both:
        return None
    # With three or more objectives the front lies in more dimensions than the picture: mark the full one.
    good = [trial for trial in both if is_candidate(trial, study.objectives, study.constraints)]
    best = pareto_front(good, study.objectives if len(study.objectives) > 2 else pair)
    numbers = {trial.number for trial in best}
    figure = new_figure(HALF, 3.1)
    axes = figure.subplots()

    def points(trials: Sequence[Trial]) -> list[tuple[float, float]]:
        return [(series.value_of(trial, other.name), series.value_of(trial, main.name)) for trial in trials]

    dominated = [trial for trial in good if trial.number not in numbers]
    _dots(axes, points(dominated), "dominated", markerfacecolor=LIGHT["c1"], markeredgecolor="none", alpha=0.5)
    broken = [trial for trial in both if study.violation(trial)]
    hollow = {"markerfacecolor": "none", "markeredgecolor": LIGHT["c2"]}
    _dots(axes, points(broken), "breaks a constraint", **hollow, alpha=0.7)
    line = sorted(points(best))
    if len(study.objectives) <= 2:
        where: Literal["post", "pre"] = "post" if (main.direction == "max") == (other.direction == "min") else "pre"
        axes.step([x for x, _ in line], [y for _, y in line], where=where, color=LIGHT["c3"], lw=1.2, alpha=0.7)
    star = {"markerfacecolor": LIGHT["c3"], "markeredgecolor": LIGHT["surface"], "markersize": 7, "zorder": 4}
    _dots(axes, line, "Pareto front", **star)
    base = [] if study.baseline is None else [p for p in points([study.baseline]) if all(map(math.isfinite, p))]
    diamond = {"marker": "D", "markerfacecolor": LIGHT["surface"], "markeredgecolor": LIGHT["ink"], "zorder": 5}
    _dots(axes, base, "baseline", **diamond, markersize=6)
    bounds: list[str] = []
    for constraint in study.constraints:
        for axis, objective in (("x", other), ("y", main)):
            if constraint.name == objective.name:
                draw = axes.axvline if axis == "x" else axes.axhline
                draw(constraint.bound, color=LIGHT["c2"], lw=1, ls="--")
                bounds.append(str(constraint))
    for axis, objective in (("x", other), ("y", main)):
        shown = [*both, *([study.baseline] if base and study.baseline is not None else [])]
        _scale(axes, axis, [series.value_of(trial, objective.name) for trial in shown])
    axes.set(xlabel=shorten(other.name, 40), ylabel=shorten(main.name, 40))
    _legend(figure)
    alt = (
        f"{main.name} against {other.name} of {plural(len(both), 'trial')}; {len(best)} of them are on the Pareto front"
    )
    directions = " and ".join(f"{'high' if o.direction == 'max' else 'low'} {o.name}" for o in pair)
    caption = f"Better: {directions}." + (f" Dashed: {', '.join(bounds)}." if bounds else "")
    return Picture(f"pareto-{index + 1}" if index else "pareto", figure, alt, caption)


def learning_curves(study: Study, most: int = 5) -> Picture | None:
    """Metrics over the steps of the best trainings, in front of all others."""
    trained = [trial for trial in series.ranking(study) if len(trial.measurements) > 1]
    best, others = trained[:most], [trial for trial in study.trials if len(trial.measurements) > 1]
    names = series.curve_metrics(best, study.objectives)
    if not names:
        return None
    columns = min(len(names), 2)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(WIDE if columns == 2 else HALF, 2.7 * rows + 0.3)
    chosen = {trial.number for trial in best}
    background = [trial for trial in others if trial.number not in chosen][-_MOST_BACKGROUND:]
    for name, axes in zip(names, _panels(figure, rows, columns, len(names)), strict=True):
        for trial in background:
            points = series.curve(trial, name)
            axes.plot(*_columns(points), color=LIGHT["muted"], lw=0.6, alpha=0.25, rasterized=len(background) > 50)
        for hue, trial in zip(CYCLE, best, strict=False):
            axes.plot(
                *_columns(series.curve(trial, name)),
                color=LIGHT[hue],
                lw=1.6,
                marker="o",
                ms=2.5,
                label=shorten(heading(study, trial), 40),
            )
        _scale(axes, "y", [value for trial in best for _, value in series.curve(trial, name)], log=False, fit=True)
        axes.set(title=shorten(name, 50), xlabel="step")
        _whole_numbers(axes)
    _legend(figure)
    alt = f"Learning curves of the best {plural(len(best), 'trial')}: {', '.join(names)}"
    caption = "The best trials in colour." + (" Thin grey lines: other trials." if background else "")
    return Picture("learning-curves", figure, alt, caption)


def provenance(study: Study) -> Picture | None:
    """What the strategy noted with its proposals, one small panel per number."""
    found = series.provenance(study.trials)
    if not found:
        return None
    names = list(found)[:_MOST_PANELS]
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure = new_figure({1: HALF, 2: 7.5}.get(columns, WIDE), 1.9 * rows + 0.2)
    for name, axes in zip(names, _panels(figure, rows, columns, len(names)), strict=True):
        points = found[name]
        axes.plot(*_columns(points), color=LIGHT["c5"], lw=0.9, alpha=0.6)
        _dots(axes, points, "", markerfacecolor=LIGHT["c5"], markeredgecolor="none", markersize=2.5)
        _scale(axes, "y", [value for _, value in points], log=False)
        axes.set(title=shorten(name, 38))
        _whole_numbers(axes)
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("trial")
    alt = f"Numbers noted by the strategy over trials: {', '.join(names)}"
    caption = "What the strategy noted with each proposal, over the trial number."
    if len(found) > len(names):
        caption += f" {len(found) - len(names)} more are in the study file."
    return Picture("strategy", figure, alt, caption)


def _dots(axes: Axes, points: Sequence[tuple[float, float]], label: str, **style: object) -> None:
    if points:
        options: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "none", "label": label, **style}
        axes.plot(*_columns(points), **options, rasterized=len(points) > _MOST_MARKS)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _panels(figure: Figure, rows: int, columns: int, count: int) -> list[Axes]:
    grid: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[count:]:
        axes.remove()
    return grid[:count]


def _legend(figure: Figure, least: int = 2) -> None:
    """One legend for all panels, above them, if it has `least` entries."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if len(found) >= least:
        figure.legend(
            found.values(), found.keys(), loc="outside upper left", ncols=min(len(found), 5), handletextpad=0.4
        )


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))


def _scale(axes: Axes, which: str, values: Sequence[float], *, log: bool = True, fit: bool = False) -> None:
    """Readable ticks: logarithmic for values over several magnitudes, `7 M` instead of an exponent."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = min(finite), max(finite)
    if log and low > 0 and high / low > 30:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axis.set_minor_formatter(NullFormatter())  # there is at least one whole power of ten to label
    elif max(abs(low), abs(high)) >= 1e5:
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if fit and high > low:
        margin = 0.06 * (high - low)
        (axes.set_xlim if which == "x" else axes.set_ylim)(low - margin, high + margin)
