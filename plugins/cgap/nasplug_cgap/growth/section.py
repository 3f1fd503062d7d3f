"""The report's section about networks that grew: sizes and widths over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.report.section import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study

_WIDTH = "cgap/width/"


def sections(study: Study) -> Sequence[Section]:
    """One section, for the best trial that grew; none if no trial did.

    Args:
        study: Study with trials trained by `cgap`.
    """
    grown = [trial for trial in study.trials if any(name.startswith(_WIDTH) for name in _names(trial))]
    if not grown:
        return []
    best = next((trial for trial in study.pareto() if trial in grown), grown[0])
    rows = []
    for measured in best.measurements:
        sizes = [measured.metrics.get(f"cgap/{name}") for name in ("params", "macs", "train_flops")]
        channels = sum(value for name, value in measured.metrics.items() if name.startswith(_WIDTH))
        rows.append([measured.step, *sizes, channels])
    return [
        Section(
            f"Growth and pruning of trial {best.number}",
            text=[
                f"Trial {best.number} changed its structure {len(best.edits)} times. Work is the sum of floating-point "
                "operations of all training steps so far, two for each multiply-accumulate."
            ],
            header=["epoch", "parameters", "MACs", "work", "channels"],
            rows=rows,
            pictures=[widths(best)],
        )
    ]


def widths(trial: Trial) -> Figure:
    """Draws the number of channels of every group, and the parameters, over the epochs.

    Args:
        trial: Trial that grew.
    """
    from matplotlib.figure import Figure

    epochs = [measured.step for measured in trial.measurements]
    groups = [name for name in _names(trial) if name.startswith(_WIDTH)]
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, name in enumerate(groups):
        series = [measured.metrics.get(name) for measured in trial.measurements]
        shade = index / max(1, len(groups) - 1)
        left.step(epochs, series, where="post", color=(0.1 + 0.7 * shade, 0.3, 0.8 - 0.6 * shade), linewidth=1)
    left.set(xlabel="epoch", ylabel="channels", title="groups, first (blue) to last (red)")
    right.step(epochs, [measured.metrics.get("cgap/params") for measured in trial.measurements], where="post")
    right.set(xlabel="epoch", ylabel="parameters", title="size")
    right.set_ylim(bottom=0)
    return figure


def _names(trial: Trial) -> list[str]:
    return list(trial.measurements[-1].metrics) if trial.measurements else []
