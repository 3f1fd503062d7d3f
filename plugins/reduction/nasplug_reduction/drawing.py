"""The curve of accuracy over size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from nasplug.contract.jsondata import JsonObject
from nasplug.optional import require

_MARKS = {"original": "s", "uniform": "^", "found": "*"}


def draw(points: Sequence[JsonObject], metric: str, path: Path) -> Path:
    """Draws the networks of a reduction.

    Args:
        points: Networks with `params`, `role` and the metric.
        metric: Name of the metric.
        path: Picture to write.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure_module = require("matplotlib.figure", extra="report", purpose="draw the curve")
    figure = figure_module.Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    roles = dict.fromkeys(str(point["role"]) for point in points)
    for role in roles:
        chosen = [point for point in points if point["role"] == role]
        sizes = [cast("float", point["params"]) for point in chosen]
        values = [cast("float", point[metric]) for point in chosen]
        axes.plot(sizes, values, _MARKS.get(role, "o"), label=role, markersize=9 if role in _MARKS else 5)
    axes.set(xscale="log", xlabel="parameters", ylabel=metric)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
