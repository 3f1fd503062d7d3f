"""Chooses space, strategy and lengths of trainings for data and a number of minutes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.auto.looking import Kind, Looked
from nasplug.auto.speed import measured
from nasplug.contract.errors import MissingExtraError
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.wording import plural
from nasplug.run.spec import RunSpec

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog

#: Part of the time that the search gets; the best network is trained fully in most of the rest.
SEARCH = 0.6
FINAL = 0.3
#: Full trainings that the search should be able to pay; below, it sees fewer epochs, then less data.
WORTH = 8
#: Epochs of the longest training of a search, and of the final one.
MOST = {"images": 27, "rows": 27, "volumes": 9}
LONGEST = 200
#: Images up to this size are searched by chains of convolutions, larger ones by models of timm.
SMALL = 64
TIMM = ("resnet10t", "resnet14t", "resnet18", "mobilenetv3_small_050", "mobilenetv3_small_100", "regnetx_002")
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

    def on(self, earlier: RunSpec) -> Plan:
        """Returns the plan that goes on with an earlier search, for the time of this one."""
        spec = earlier.replace(budget=dataclasses.replace(earlier.budget, seconds=self.spec.budget.seconds))
        return dataclasses.replace(self, spec=spec)


def plan(
    looked: Looked, catalog: Catalog, *, minutes: float, workers: int, seed: int, storage: str,
    measure: Callable[[RunSpec, Catalog], float] | None = None,
) -> Plan:  # fmt: skip
    """Chooses everything that the person did not.

    Args:
        looked: The data.
        catalog: Catalog of installed components.
        minutes: Time for search and final training together.
        workers: Number of worker processes.
        seed: Seed of the search.
        storage: Path of the study file.
        measure: Function that returns seconds per epoch; None trains a few batches.

    Raises:
        MissingExtraError: No installed space fits the data.
        NasplugError: The data cannot be read.
    """
    (task,) = looked.task
    metric = OBJECTIVE[task]
    spec = RunSpec.parse(
        {
            "task": _task(looked),
            "space": "tabular_mlp",
            "strategy": "random",
            "costs": ["params"],
            "objectives": {metric: "min" if metric == "val_rmse" else "max"},
            "budget": {"trials": 1, "epochs": 1},
            "run": {"seed": seed},
        }
    ).to_plain()
    spec["space"], space_words = _space(looked.kind, looked.task, catalog)
    per_epoch = (measure or measured)(RunSpec.parse(spec), catalog)
    available = 60.0 * minutes * SEARCH * workers
    epochs = max(1, min(MOST[looked.kind], int(available / WORTH / max(per_epoch, 1e-6))))
    share = min(1.0, available / WORTH / max(per_epoch, 1e-6))
    spec["strategy"], strategy_words = _strategy(epochs)
    if looked.kind != "volumes":
        spec["hyperparameters"] = {"lr": {"low": 1e-3, "high": 2e-2, "log": True}}
    if share < 1.0:
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
    if share < 1.0:
        reasons.append(("less data", f"the search trains on {share:.0%} of the samples, the final training on all"))
    return Plan(RunSpec.parse(spec), metric, 60.0 * minutes * FINAL, per_epoch, reasons)


def _task(looked: Looked) -> JsonObject:
    ((name, arguments),) = looked.task.items()
    assert isinstance(arguments, dict)
    if looked.kind == "images":
        return {name: {**arguments, "augment": "crop", "split": {"val_fraction": 0.15, "test_fraction": 0.15}}}
    if looked.kind == "rows":
        return {name: {**arguments, "split": {"val_fraction": 0.2, "test_fraction": 0.2}}}
    return {name: {**arguments, "dimensions": 2}}


def _space(kind: Kind, task: JsonObject, catalog: Catalog) -> tuple[JsonObject, str]:
    if kind == "rows":
        return {"tabular_mlp": {}}, "multi-layer perceptrons of up to four layers"
    if kind == "volumes":
        words = "U-Nets, every level with its own blocks, kernel and skip"
        return {"unet": {"max_depth": 4, "widths": [8, 16, 32]}}, words
    from nasplug.plugins.component import Component, instantiate

    found = instantiate("task", Component.parse(task, where="task"), catalog, where="task")
    height, width = found.input_shape[-2:]
    if max(height, width) <= SMALL and catalog.has("space", "qnas.conv"):
        fine = max(height, width) <= 16
        return (
            {"qnas.conv": {"nodes": 8 if fine else 12, "width": 0.25 if fine else 0.5}},
            f"chains of convolutions and pools, for images of {height} x {width} pixels",
        )
    from nasplug.optional import available

    if not available("timm"):
        raise MissingExtraError(
            "no installed space fits these images",
            where="nasplug auto",
            fix='pip install nasplug-qnas (for small images) or "nasplug[timm]"',
        )
    words = f"{plural(len(TIMM), 'small model')} of timm, for images of {height} x {width} pixels"
    return {"timm": {"models": list(TIMM)}}, words


def _strategy(epochs: int) -> tuple[JsonObject, str]:
    if epochs >= 3:
        words = f"Hyperband: many networks for an epoch, the promising ones for up to {epochs}"
        return {"hyperband": {"max_epochs": epochs}}, words
    return {"regularized_evolution": {"population_size": 8, "tournament_size": 3}}, "regularized evolution"
