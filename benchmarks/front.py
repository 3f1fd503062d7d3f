"""The picture of the front page: accuracy over size of searched networks, and three of them drawn.

scikit-learn's digits, chains of convolutions and pools (`qnas.conv`), NSGA-II. The record holds every trial with the
operations of its network; `--draw` draws the pictures of both themes from the record alone.

Run: OMP_NUM_THREADS=1 python benchmarks/front.py
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _record import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
RECORD = HERE / "results" / "front.json"
PICTURES = HERE.parent / "docs" / "pictures"
SEED = 0
THEMES = ("light", "dark")
LOWEST = 0.92  # accuracy of the worst network in the picture
SPECIFICATION: dict[str, Any] = {
    "task": {
        "image_classification": {
            "data": "digits",
            "batch_size": 32,
            "training": {"lr": 5e-3},
            "split": {"val_fraction": 0.2},
        }
    },
    "space": {"qnas.conv": {"functions": "conv11", "nodes": 8, "width": 0.25, "head": "flatten"}},
    "strategy": {"nsga2": {"population_size": 12}},
    "costs": ["params", "macs"],
    "objectives": {"val_acc": "max", "params": "min"},
    "budget": {"trials": 72, "epochs": 5},
}


def searched(workers: int) -> dict[str, Any]:
    """The search: every finished trial with its figures and the labels of its layers."""
    import nasplug as nas

    with tempfile.TemporaryDirectory() as folder:
        run = {"seed": SEED, "executor": "process", "workers": workers, "batch": 6, "storage": f"{folder}/s.sqlite"}
        study = nas.run_spec(nas.RunSpec.parse(SPECIFICATION | {"run": run}))
        front = {trial.number for trial in study.pareto()}
        trials = [
            {
                "number": trial.number,
                "val_acc": trial.values["val_acc"],
                "params": trial.values["params"],
                "front": trial.number in front,
                "layers": list(study.space.graph(trial.architecture).labels),
            }
            for trial in study.trials
            if trial.state == "complete"
        ]
    return {"seeds": [SEED], "specification": SPECIFICATION, "trials": trials}


def draw(found: dict[str, Any], theme: str) -> Path:
    """Writes the picture of one theme."""
    import matplotlib
    from matplotlib.ticker import FixedLocator, NullLocator

    from nasplug.contract.wording import plural
    from nasplug.report.figures import LIGHT, PALETTE, new_figure, style

    with style(), matplotlib.rc_context({"svg.hashsalt": "front"}):
        figure = new_figure(8.6, 4.4)
        axes = figure.add_subplot()
        good = [trial for trial in found["trials"] if trial["val_acc"] >= LOWEST]
        front = sorted((trial for trial in good if trial["front"]), key=lambda trial: trial["params"])
        axes.scatter(*_points([t for t in good if not t["front"]]), s=16, color=LIGHT["muted"], alpha=0.5, linewidths=0)
        axes.step(*_points(front), where="post", color=LIGHT["c1"], linewidth=1.6)
        axes.scatter(*_points(front), s=34, color=LIGHT["c1"], zorder=3)
        axes.set(xscale="log", xlabel="parameters", ylabel="validation accuracy, %")
        axes.set_ylim(100 * LOWEST - 7, 100.4)
        axes.xaxis.set_major_locator(FixedLocator([1000, 2000, 5000, 10000, 20000, 50000]))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(front[0]["params"] * 0.8, max(trial["params"] for trial in good) * 1.15)
        for trial, corner in zip(_three(front), ((0.05, 0.1), (0.36, 0.1), (0.67, 0.1)), strict=True):
            _network(axes, trial, corner)
        axes.set_title(
            f"{plural(len(found['trials']), 'network')} searched; the front, and three of its networks "
            "(blue: convolutions, orange: pools; height: channels)"
        )
        path = PICTURES / f"front-{theme}.svg"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=True)
    text = path.read_text()
    text = text.replace("font: ", "font-family: system-ui, sans-serif; font: ")
    if theme == "dark":
        for light, dark in PALETTE.values():
            text = text.replace(light, dark)
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    return path


def _points(trials: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    return [t["params"] for t in trials], [100 * t["val_acc"] for t in trials]


def _three(front: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The smallest network of the front, the most accurate one, and one between them."""
    return [front[0], front[len(front) // 2], front[-1]]


def _network(axes: Axes, trial: dict[str, Any], corner: tuple[float, float]) -> None:
    """Draws a network as a row of boxes, and a line from there to its point."""
    from matplotlib.patches import FancyBboxPatch

    from nasplug.report.families import colour, family
    from nasplug.report.figures import LIGHT

    x, y = corner
    layers = [label for label in trial["layers"] if family(label) not in ("identity", "input and output")]
    width, gap = 0.026, 0.006
    for index, label in enumerate(layers):
        channels = int(label.rsplit("_", 1)[1]) if family(label) == "convolution" else 8
        height = 0.03 + 0.03 * math.log2(channels / 8)
        axes.add_patch(
            FancyBboxPatch(
                (x + index * (width + gap), y + 0.06 - height / 2),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.006",
                transform=axes.transAxes,
                facecolor=LIGHT[colour(family(label))],
                linewidth=0,
                zorder=4,
            )
        )
    words = f"{100 * trial['val_acc']:.1f} %, {trial['params']:,.0f} parameters"
    axes.text(x, y + 0.15, words, transform=axes.transAxes, fontsize=8.5, color=LIGHT["ink"], zorder=4)
    axes.annotate(
        "",
        xy=(trial["params"], 100 * trial["val_acc"]),
        xytext=(x + 0.1, y + 0.2),
        textcoords=axes.transAxes,
        arrowprops={"arrowstyle": "-", "color": LIGHT["muted"], "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="draw the record that is there")
    arguments = parser.parse_args()
    if not arguments.draw:
        record("front", searched(arguments.workers), packages=("nasplug-qnas",))
    for theme in THEMES:
        print(draw(json.loads(RECORD.read_text()), theme))


if __name__ == "__main__":
    main()
