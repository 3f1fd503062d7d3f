"""Chooses space, strategy and lengths of trainings for data and a number of minutes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nasplug.auto.images import fitting
from nasplug.auto.looking import Kind, Looked
from nasplug.auto.speed import Speed
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.wording import plural
from nasplug.run.spec import RunSpec

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

#: Parts of the time that the search and the last training get; the rest is for beginning, test and report.
SEARCH = 0.3
FINAL = 0.6
#: Full trainings that the search should be able to pay; below, it sees fewer epochs, then less data.
WORTH = 8
#: Steps of a training below which its result says nothing: few samples are seen for more epochs.
STEPS = 100
#: Learning rates that are searched, and the one that the first networks have.
LR, FIRST = (2e-3, 2e-2), 1e-2
#: Epochs of the longest training of a search, and of the final one.
MOST = {"images": 27, "rows": 27, "volumes": 9}
LONGEST = 200
OBJECTIVE = {
    "image_classification": "val_acc",
    "tabular": "val_acc",
    "regression": "val_rmse",
    "segmentation": "val_dice",
}


class Measure(Protocol):
    """How long an epoch takes, and how many batches it has."""

    steps: int

    def __call__(self, space: JsonObject) -> float:
        """Seconds per epoch of a typical network of a space."""
        ...


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        spec: Specification of the search.
        metric: Metric that decides.
        final_seconds: Time for the final training.
        seconds_per_epoch: Estimated time of one epoch of a typical network.
        reasons: Choices with their reasons, for people.
    """

    spec: RunSpec
    metric: str
    final_seconds: float
    seconds_per_epoch: float
    reasons: list[tuple[str, str]]

    def within(self, seconds: float) -> Plan:
        """Returns the plan for what is left of the time: the search leaves the last training its part.

        Args:
            seconds: Time for the search and the last training.
        """
        budget = self.spec.budget
        longest = self.seconds_per_epoch * budget.epochs  # what has begun is finished
        search = max(1.0, seconds * SEARCH / (SEARCH + FINAL) - longest)
        if budget.seconds is not None and search > budget.seconds:
            return self
        return dataclasses.replace(self, spec=self.spec.replace(budget=dataclasses.replace(budget, seconds=search)))

    def on(self, earlier: RunSpec) -> Plan:
        """Returns the plan that goes on with an earlier search, for the time of this one."""
        spec = earlier.replace(budget=dataclasses.replace(earlier.budget, seconds=self.spec.budget.seconds))
        return dataclasses.replace(self, spec=spec)


def plan(
    looked: Looked, catalog: Catalog, *, minutes: float, workers: int, seed: int, storage: str,
    measure: Measure | None = None,
) -> Plan:  # fmt: skip
    """Chooses everything that the person did not.

    Args:
        looked: The data.
        catalog: Catalog of installed components.
        minutes: Time for search and final training together.
        workers: Number of worker processes.
        seed: Seed of the search.
        storage: Path of the study file.
        measure: Speed of networks; None trains a few batches.

    Raises:
        NasplugError: The data cannot be read.
    """
    (task,) = looked.task
    metric = OBJECTIVE[task]
    spec = RunSpec.parse(
        {
            "task": task_of(looked),
            "space": "tabular_mlp",
            "strategy": "random",
            "costs": ["params"],
            "objectives": {metric: "min" if metric == "val_rmse" else "max"},
            "budget": {"trials": 1, "epochs": 1},
            "run": {"seed": seed},
        }
    ).to_plain()
    final = 60.0 * minutes * FINAL
    speed = measure or Speed(RunSpec.parse(spec), catalog)
    spec["space"], space_words, per_epoch, first = _space(looked, final, speed, catalog)
    available = 60.0 * minutes * SEARCH * workers
    least = min(MOST[looked.kind], math.ceil(STEPS / speed.steps))
    epochs = max(1, min(MOST[looked.kind], max(least, int(available / WORTH / max(per_epoch, 1e-6)))))
    share = min(1.0, available / WORTH / max(per_epoch, 1e-6))
    spec["strategy"], strategy_words = _strategy(epochs)
    if looked.kind != "volumes":
        spec["hyperparameters"] = {"lr": {"low": LR[0], "high": LR[1], "log": True}}
        spec["enqueue"] = [[genotype, {"lr": FIRST}] for genotype in first]
    if share < 1.0 and epochs == 1:
        spec["build"] = [{"fraction": {"fraction": round(share, 3)}}]
    spec["budget"] = {"seconds": 60.0 * minutes * SEARCH, "epochs": epochs}
    spec["run"] = {
        "executor": "process" if workers > 1 else "inline",
        "workers": workers,
        "batch": 2 * workers,
        "seed": seed,
        "storage": storage,
        "keep": "best 3",
    }
    reasons = [
        ("data", looked.words),
        ("task", f"{task}, judged by {metric} on held-out validation samples; a test part is used once, at the end"),
        ("space", space_words),
        ("strategy", strategy_words),
        ("time", f"{minutes * SEARCH:.3g} min of search, then up to {minutes * FINAL:.3g} min for the best network"),
        ("speed", f"an epoch of a typical network takes about {per_epoch:.2g} s"),
    ]
    if spec.get("build"):
        reasons.append(("less data", f"the search trains on {share:.0%} of the samples, the final training on all"))
    return Plan(RunSpec.parse(spec), metric, final, per_epoch, reasons)


def task_of(looked: Looked) -> JsonObject:
    """The task that data are searched and trained with, as a specification says it.

    Args:
        looked: The data.
    """
    ((name, arguments),) = looked.task.items()
    assert isinstance(arguments, dict)
    if looked.kind == "images":
        split: JsonObject = {"val_fraction": 0.15, "test_fraction": 0.15}
        training: JsonObject = {"schedule": "onecycle", "weight_decay": 0.02}
        return {name: {**arguments, "augment": "crop", "split": split, "training": training}}
    if looked.kind == "rows":
        return {name: {**arguments, "split": {"val_fraction": 0.2, "test_fraction": 0.2}}}
    return {name: {**arguments, "dimensions": 2}}


def _space(
    looked: Looked, final: float, speed: Measure, catalog: Catalog
) -> tuple[JsonObject, str, float, list[list[float]]]:
    """The space, why, the seconds of an epoch of a typical network, and genotypes to begin with."""
    if looked.kind == "images":
        from nasplug.plugins.component import Component, instantiate

        found = instantiate("task", Component.parse(task_of(looked), where="task"), catalog, where="task")
        height, width = found.input_shape[-2:]
        fits = fitting(max(height, width), final, speed.steps, speed)
        words = (
            f"residual networks for images of {height} x {width} pixels, up to a size of which the last training pays "
            f"{plural(int(fits.epochs), 'epoch')}"
        )
        return fits.space, words, fits.seconds, fits.first
    spaces: dict[Kind, tuple[JsonObject, str]] = {
        "rows": ({"tabular_mlp": {}}, "multi-layer perceptrons of up to four layers"),
        "volumes": (
            {"unet": {"max_depth": 4, "widths": [8, 16, 32]}},
            "U-Nets, every level with its own blocks, kernel and skip",
        ),
    }
    space, words = spaces[looked.kind]
    return space, words, speed(space), []


def _strategy(epochs: int) -> tuple[JsonObject, str]:
    if epochs >= 3:
        words = f"Hyperband: many networks for an epoch, the promising ones for up to {epochs}"
        return {"hyperband": {"max_epochs": epochs}}, words
    return {"regularized_evolution": {"population_size": 8, "tournament_size": 3}}, "regularized evolution"
