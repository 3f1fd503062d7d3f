"""What the segmentation task adds to a report: images, masks and errors, Dice per class and patient, folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.wording import plural
from nasplug.report.figures import new_figure, style
from nasplug.report.section import Section
from nasplug.tasks.segmentation.evaluation import Answered, answers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug.ledger.study import Study
    from nasplug.tasks.segmentation.task import Segmentation

_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")
#: Kinds of errors and their colours.
_ERRORS = {"missed": "#d62728", "too much": "#0b5ed7", "another class": "#9467bd"}


def sections(task: Segmentation, study: Study) -> list[Section]:
    """Returns the sections about the best trial of a study; none while no trial has weights.

    Args:
        task: Task of the study.
        study: The study.
    """
    if not study.candidates() or "weights" not in study.best.artifacts:
        return []
    best = study.best
    found = sorted(answers(task, study, best), key=lambda each: _mean(each.score.dice))
    classes = task.class_names[1:]
    title = f"Segmentation by trial {best.number}"
    about = (
        f"{plural(len(found), 'validation case')}, each segmented by a network that did not see it in training, and "
        "compared with the truth on the grid of its file. These cases chose the network, so they flatter it; "
        "nasplug retrain tests it on the cases that were kept apart."
    )
    colours = "Each picture shows the slice with most foreground."
    header, rows = _per_class(found, classes)
    with style():
        pictures = [_examples(task, found), _boxes(found, classes)]
    parts = [Section(title, [about, colours], header, rows, pictures), _per_case(found, classes)]
    if best.stages:
        names = [name for name in next(iter(best.stages.values())) if name.startswith("val_")]
        table = [[stage, *(metrics.get(name) for name in names)] for stage, metrics in best.stages.items()]
        spread = [best.metrics.get(f"{name}_std") for name in names]
        table += [["mean", *(best.metrics.get(name) for name in names)], ["standard deviation", *spread]]
        parts.append(Section(f"Folds of trial {best.number}", (), ["fold", *names], table))
    return parts


def _per_class(found: Sequence[Answered], classes: Sequence[str]) -> tuple[list[str], list[list[str | float | None]]]:
    surfaces = any(each.score.hd95 for each in found)
    header = ["class", "cases", "mean Dice", "median Dice", "lowest Dice", "volume difference"]
    header += ["HD95, mm", "surface Dice"] if surfaces else []
    rows: list[list[str | float | None]] = []
    for index, name in enumerate(classes):
        dice = [each.score.dice[index] for each in found if not math.isnan(each.score.dice[index])]
        row: list[str | float | None] = [name, len(dice), _mean(dice)]
        row += [float(np.median(dice)), min(dice)] if dice else [None, None]
        row.append(_mean([each.score.volume_difference[index] for each in found]))
        if surfaces:
            row.append(_mean([each.score.hd95[index] for each in found]))
            row.append(_mean([each.score.surface_dice[index] for each in found]))
        rows.append(row)
    return header, rows


def _per_case(found: Sequence[Answered], classes: Sequence[str]) -> Section:
    folds = any(each.fold is not None for each in found)
    rows: list[list[str | float | None]] = [
        [each.name, *([str(each.fold)] if folds else []), *each.score.dice] for each in found
    ]
    return Section("Dice per case, the worst first", (), ["case", *(["fold"] if folds else []), *classes], rows)


def _examples(task: Segmentation, found: Sequence[Answered]) -> Figure:
    """Image, truth, answer and errors of the worst, the median and the best case, in the fullest slice."""
    named = {"worst": found[0]}
    if len(found) > 2:
        named["median"] = found[len(found) // 2]
    if len(found) > 1:
        named["best"] = found[-1]
    figure = new_figure(9.0, 2.4 * len(named) + 0.4)
    grid = figure.subplots(len(named), 4, squeeze=False)
    _legend(figure, task.class_names[1:])
    for row, (label, each) in zip(grid, named.items(), strict=True):
        truth, way = task.cases.truth(each.case), task.cases.grids[each.case]
        image = task.cases.image(each.case)[0]
        turned, said = way.turn(truth), way.turn(each.answer)
        at = int((turned > 0).sum((0, 1)).argmax())
        back = min(image.shape[2] - 1, round(at * image.shape[2] / turned.shape[2]))
        shown = _upright(image[:, :, back])
        masks = [_upright(turned[:, :, at]), _upright(said[:, :, at])]
        _show(row[0], shown, None, f"{label}: {each.name}, slice {at + 1}")
        _show(row[1], shown, _coloured(masks[0]), "truth")
        _show(row[2], shown, _coloured(masks[1]), f"answer, Dice {_mean(each.score.dice):.3f}")
        _show(row[3], shown, _errors(*masks), "errors")
    return figure


def _legend(figure: Figure, classes: Sequence[str]) -> None:
    """What the colours of masks and errors mean, above all pictures."""
    from matplotlib.patches import Patch

    masks = [Patch(color=_COLOURS[index % len(_COLOURS)], label=name) for index, name in enumerate(classes)]
    errors = [Patch(color=colour, label=name) for name, colour in _ERRORS.items()]
    options: dict[str, Any] = {"ncols": 4, "fontsize": 7, "title_fontsize": 8, "frameon": False, "alignment": "left"}
    figure.legend(handles=masks, title="Classes", loc="outside upper left", **options)
    figure.legend(handles=errors, title="Errors", loc="outside upper right", **options)


def _boxes(found: Sequence[Answered], classes: Sequence[str]) -> Figure:
    """Dice of every case, one box for each class."""
    figure = new_figure(1.6 + 1.3 * len(classes), 3.2)
    axes = figure.subplots()
    values = [[v for each in found if not math.isnan(v := each.score.dice[index])] for index in range(len(classes))]
    axes.boxplot(values, tick_labels=list(classes), showfliers=False)
    for index, column in enumerate(values):
        spread = np.linspace(-0.12, 0.12, len(column)) if len(column) > 1 else np.zeros(len(column))
        axes.scatter(index + 1 + spread, column, s=10, alpha=0.6)
    axes.set_ylabel("Dice per case")
    axes.set_ylim(-0.02, 1.02)
    return figure


def _upright(plane: NDArray[Any]) -> NDArray[Any]:
    """A slice as people look at it: its second axis upwards."""
    return plane.T[::-1]


def _show(axes: Any, image: NDArray[Any], over: NDArray[np.float64] | None, title: str) -> None:
    axes.imshow(image, cmap="gray", interpolation="nearest", extent=(0, 1, 0, 1), aspect="auto")
    if over is not None:
        axes.imshow(over, interpolation="nearest", extent=(0, 1, 0, 1), aspect="auto")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
    axes.set_box_aspect(image.shape[0] / image.shape[1])


def _coloured(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    found = np.zeros((*mask.shape, 4))
    for value in range(1, int(mask.max()) + 1):
        found[mask == value] = (*to_rgb(_COLOURS[(value - 1) % len(_COLOURS)]), 0.6)
    return found


def _errors(truth: NDArray[np.uint8], answer: NDArray[np.uint8]) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    found = np.zeros((*truth.shape, 4))
    kinds = ((truth > 0) & (answer == 0), (truth == 0) & (answer > 0), (truth > 0) & (answer > 0) & (truth != answer))
    for where, colour in zip(kinds, _ERRORS.values(), strict=True):
        found[where] = (*to_rgb(colour), 0.8)
    return found


def _mean(values: Sequence[float]) -> float:
    real = [value for value in values if not math.isnan(value)]
    return sum(real) / len(real) if real else math.nan
