"""The picture of a study: each difference with its interval, the largest on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug_ablation.report.report import AblationReport

#: Colours that people with any colour vision can tell apart.
COLOURS = {"helps": "#0072B2", "hurts": "#D55E00", "within noise": "#777777", "one seed": "#777777"}
#: Effects in one picture.
MOST = 40


def draw(report: AblationReport) -> Figure:
    """Draws the change of the metric by each removal.

    Args:
        report: Report of a study.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = [effect for effect in report.effects if effect.paired is not None]
    if not any(effect.what == "step" for effect in shown):
        shown.sort(key=lambda effect: -abs(effect.paired.mean if effect.paired else 0.0))
    shown = shown[:MOST]
    figure = Figure(figsize=(7.5, 1.4 + 0.32 * len(shown)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
    for row, effect in enumerate(shown):
        measured = effect.paired
        assert measured is not None
        colour = COLOURS[effect.verdict]
        if measured.low is not None and measured.high is not None:
            axis.plot([measured.low, measured.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axis.plot([measured.mean], [row], "o", color=colour, markersize=6)
    axis.set_yticks(
        range(len(shown)), [effect.name if len(effect.name) < 45 else f"{effect.name[:44]}…" for effect in shown]
    )
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlabel(f"change of {report.metric} without it")
    axis.set_title(report.sentence(), fontsize=9, loc="left")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    kinds = [kind for kind in COLOURS if any(effect.verdict == kind for effect in shown)]
    handles = [Line2D([], [], color=COLOURS[kind], marker="o", linewidth=2, label=kind) for kind in kinds]
    figure.legend(handles=handles, loc="outside lower right", ncols=len(kinds), frameon=False, fontsize=8)
    return figure
