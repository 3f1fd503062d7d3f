"""`nasplug demo --task segmentation`: search U-Nets that tell the tissues of a brain apart; nothing to download.

The slices are of one averaged brain (MNI152), which nilearn ships: it shows how a segmentation runs, and says nothing
about patients.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplug.cli import output
from nasplug.contract.errors import MissingExtraError
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.wording import plural
from nasplug.optional import available

if TYPE_CHECKING:
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study
    from nasplug.run.spec import RunSpec

TRIALS = 8
EPOCHS = 4
_GENERATION = 2


def check() -> None:
    """Checks everything that this demo needs, before it begins.

    Raises:
        MissingExtraError: Something is not installed.
    """
    for module in ("monai", "nibabel", "nilearn"):
        if not available(module):
            raise MissingExtraError(
                f"{module} is not installed", where="demo", fix='pip install "nasplug[train,medical]"'
            )


def specification(trials: int | None, workers: int | None, seed: int, out: Path, plugins: list[str]) -> RunSpec:
    """Returns what the demo runs.

    Args:
        trials: Number of networks; None means that of the demo.
        workers: Number of worker processes; None means one per core, at most two.
        seed: Seed of the search.
        out: Folder of the demo.
        plugins: Plugin files.
    """
    from nasplug.run.spec import RunSpec

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = workers or min(cores, _GENERATION)
    task: JsonObject = {
        "segmentation": {
            "data": "brain_template",
            "dimensions": 2,
            "patches": {"size": [64, 64], "batch_size": 16, "per_epoch": 96},
            "training": {"lr": 5e-3},
        }
    }
    return RunSpec.parse(
        {
            "task": task,
            "space": {"unet": {"max_depth": 3, "widths": [8, 16], "repeats": [1]}},
            "strategy": {"regularized_evolution": {"population_size": 4, "tournament_size": 2}},
            "costs": ["params", "macs"],
            "objectives": {"val_dice": "max"},
            "budget": {"trials": trials or TRIALS, "epochs": EPOCHS},
            "run": {
                "executor": "process" if workers > 1 else "inline",
                "workers": workers,
                "batch": _GENERATION,
                "seed": seed,
                "storage": str(out / "study.sqlite"),
            },
            "plugins": plugins,
        }
    )


def header(spec: RunSpec) -> str:
    """Returns what is printed before the search."""
    trials = plural(spec.budget.trials or 0, "network")
    workers = plural(spec.run.workers, "worker process") if spec.run.workers > 1 else "one process"
    return "\n".join(
        [
            "nasplug demo: evolution searches U-Nets that tell the tissues of a brain apart",
            "  data    axial slices of the MNI152 template: one brain, the average of 152; blocks of slices stand for",
            "          patients, a quarter of them only for the final test",
            "  space   U-Nets of up to three steps, every level with its own blocks, kernel and skip",
            f"  search  {trials}, {plural(EPOCHS, 'epoch')} each, {workers}, seed {spec.run.seed}",
            "  time    about three minutes on two cores; after Ctrl-C the same command goes on",
            "",
        ]
    )


def show(study: Study, best: Trial) -> None:
    """Prints image, truth and answer of one slice that the network did not see in training.

    Args:
        study: The study.
        best: Trial whose network answers.
    """
    from nasplug.tasks.segmentation.evaluation import answers
    from nasplug.tasks.segmentation.task import Segmentation

    task = study.task
    assert isinstance(task, Segmentation)
    each = max(answers(task, study, best), key=lambda found: int((found.answer > 0).sum()))
    truth = task.cases.truth(each.case)
    at = int((truth > 0).sum((0, 1)).argmax())
    planes = [task.cases.image(each.case)[0][:, :, at], truth[:, :, at], each.answer[:, :, at]]
    print(f"\nA slice of {each.name}, which the network did not see in training:\n")
    print("\n".join(_beside(planes)))
    scores = ", ".join(f"{name} {dice:.2f}" for name, dice in zip(task.class_names[1:], each.score.dice, strict=True))
    print(f"\n  Dice of this block: {scores}")
    costs = {name: best.costs[name] for name in ("params", "macs")}
    label = output.titled(best.number, study.label(best))
    print(f"\nThe best of {plural(len(study.trials), 'network')} is {label}: {output.values(costs)}")


def _beside(planes: Sequence[NDArray[np.generic]]) -> list[str]:
    """Lines of an image and two masks side by side, as characters."""
    width, height = 24, 16
    titles = ["image", "truth", "answer"]
    shades = [" .:-=+*#%@", " ~ox", " ~ox"]
    columns = []
    for plane, title, letters in zip(planes, titles, shades, strict=True):
        upright = np.asarray(plane).T[::-1]
        rows = np.linspace(0, upright.shape[0] - 1, height).round().astype(int)
        positions = np.linspace(0, upright.shape[1] - 1, width).round().astype(int)
        small = upright[np.ix_(rows, positions)].astype(float)
        if title == "image":
            low, high = float(small.min()), float(small.max())
            small = (small - low) / max(high - low, 1e-9) * (len(letters) - 1)
        columns.append([title.ljust(width), *("".join(letters[int(value)] for value in row) for row in small)])
    lines = ["  " + "   ".join(parts) for parts in zip(*columns, strict=True)]
    return [*lines, "  (~ fluid, o grey matter, x white matter)"]
