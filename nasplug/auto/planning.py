"""Chooses space, strategy and lengths of trainings for data and a number of minutes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.auto.choosing import Measure, Start, space_of, strategy_for, task_of
from nasplug.auto.looking import Looked
from nasplug.auto.speed import Speed
from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
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
#: Learning rates that are searched, and the one that the first networks have: from random weights, and from others.
LR, FIRST = (2e-3, 2e-2), 1e-2
FINE, FIRST_FINE = (1e-4, 3e-3), 5e-4
#: Epochs of the longest training of a search, and of the final one.
MOST = {"images": 27, "rows": 27, "volumes": 9}
LONGEST = 200
OBJECTIVE = {
    "image_classification": "val_acc",
    "tabular": "val_acc",
    "regression": "val_rmse",
    "segmentation": "val_dice",
}


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
    measure: Measure | None = None, start: Start | None = None,
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
        start: Weights to start from; None means random ones.

    Raises:
        SpecError: The data are not images, which weights to start from are for.
        NasplugError: The data cannot be read.
    """
    if start is not None and looked.kind != "images":
        raise SpecError("--pretrained is for images", where="nasplug auto", fix="leave it out")
    (task,) = looked.task
    metric = OBJECTIVE[task]
    spec = RunSpec.parse(
        {
            "task": task_of(looked, start),
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
    spec["space"], space_words, per_epoch, first = space_of(looked, final, speed, catalog, start)
    available = 60.0 * minutes * SEARCH * workers
    least = min(MOST[looked.kind], math.ceil(STEPS / speed.steps))
    epochs = max(1, min(MOST[looked.kind], max(least, int(available / WORTH / max(per_epoch, 1e-6)))))
    share = min(1.0, available / WORTH / max(per_epoch, 1e-6))
    spec["strategy"], strategy_words = strategy_for(epochs)
    if looked.kind != "volumes":
        (low, high), usual = (LR, FIRST) if start is None else (FINE, FIRST_FINE)
        spec["hyperparameters"] = {"lr": {"low": low, "high": high, "log": True}}
        spec["enqueue"] = [[genotype, {"lr": usual}] for genotype in first]
    less = share < 1.0 and epochs == 1
    build: list[Json] = [] if start is None else [{"pretrained": {"weights": start.weights}}]
    spec["build"] = [*build, *([{"fraction": {"fraction": round(share, 3)}}] if less else [])]
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
    if less:
        reasons.append(("less data", f"the search trains on {share:.0%} of the samples, the final training on all"))
    return Plan(RunSpec.parse(spec), metric, final, per_epoch, reasons)
