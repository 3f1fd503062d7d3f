"""The loss around trained networks in the report of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.report.section import Section
from nasplug_cgap.stability.landscape import Landscape, landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study
    from nasplug_cgap.stability.cost import Roughness


def landscape_section(study: Study, cost: Roughness) -> Sequence[Section] | None:
    """Returns a section with the surfaces of the smoothest and the roughest network, None if none kept its weights.

    Args:
        study: Finished study.
        cost: Cost that says how surfaces are measured.
    """
    known = [
        trial
        for trial in study.trials
        if "roughness/mse" in trial.costs and "weights" in trial.artifacts and trial.copied_from is None
    ]
    if not known:
        return None
    ordered = sorted(known, key=lambda trial: (trial.costs["roughness/mse"], trial.number))
    ends = ordered[:1] if len(ordered) == 1 else [ordered[0], ordered[-1]]
    batches = cost.batches(study)
    surfaces = [
        landscape(study.network(trial), batches, points=cost.points, radius=cost.radius, seed=cost.seed)
        for trial in ends
    ]
    return [
        Section(
            "Loss around the trained weights",
            text=[
                "Contours of the logarithm of the mean loss on validation data over two random directions, from the "
                "smoothest network of the search to the roughest. A network in a wide and even bowl keeps what it "
                "knows when its weights move."
            ],
            header=["trial", "roughness", "network"],
            rows=[[trial.number, trial.costs["roughness/mse"], study.label(trial)] for trial in ordered[:10]],
            pictures=[draw(surfaces, ends)],
        )
    ]


def draw(surfaces: Sequence[Landscape], trials: Sequence[Trial]) -> Figure:
    """Draws surfaces side by side with one scale of colours.

    Args:
        surfaces: Losses on grids.
        trials: Trials that they belong to.
    """
    import numpy as np
    from matplotlib.figure import Figure

    heights = [np.log10(np.maximum(surface.losses, 1e-6)) for surface in surfaces]
    low, high = min(map(np.min, heights)), max(map(np.max, heights))
    levels = np.linspace(low, high if high > low else low + 1, 16)
    figure = Figure(figsize=(3.6 * len(surfaces) + 1.0, 3.4), layout="constrained")
    axes = figure.subplots(1, len(surfaces), squeeze=False)[0]
    for axis, surface, height, trial in zip(axes, surfaces, heights, trials, strict=True):
        drawn = axis.contourf(surface.steps, surface.steps, height.T, levels=levels)
        axis.plot([0], [0], "w+", markersize=8)
        axis.set(xlabel="first direction", ylabel="second direction", aspect="equal")
        axis.set_title(f"trial {trial.number}, roughness {trial.costs['roughness/mse']:.3g}", fontsize=9)
    figure.colorbar(drawn, ax=list(axes), label="log10 of the loss")
    return figure
