"""A search and its results."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn

import nasplug as nas


class Module(LightningModule):
    def __init__(self, network: nn.Module, lr: float = 0.1) -> None:
        super().__init__()


task = nas.LightningTask(
    Module,
    LightningDataModule(),
    input_shape=(3, 8, 8),
    outputs=10,
    objectives={"val_acc": "max"},
)
assert_type(task.datamodule(), LightningDataModule)
assert_type(task.module(nn.Identity(), {"lr": 0.1}), LightningModule)
as_task: nas.Task = task

study = nas.search(
    task,
    space={"timm": {"models": ["resnet18"]}},
    strategy=nas.component("regularized_evolution", population=16),
    hyperparameters={
        "lr": {"low": 1e-4, "high": 0.1, "log": True},
        "optimizer": ["adam", "sgd"],
        "wd": nas.FloatRange(0, 1),
    },
    objectives={"val_acc": "max", "params": "min"},
    constraints=["macs <= 1e6"],
    costs=["params", nas.component("macs")],
    enqueue=[["resnet18"]],
    trackers=[nas.Tracker()],
    storage=Path("study.sqlite"),
)
assert_type(study, nas.Study)
assert_type(study.best, nas.Trial)
assert_type(study.pareto(), list[nas.Trial])
assert_type(study.best.values["params"], float)
assert_type(study.best.failure, nas.Failure | None)
assert_type(study.network(study.best), nn.Module)
assert_type(study.meta["created"], str)
assert_type(study.report("page.html"), Path)
assert_type(nas.load_study("study.sqlite"), nas.Study)

nas.search(task, space=3)  # type: ignore[arg-type]
nas.search(task, space="timm", strategy=nn.Identity())  # type: ignore[arg-type]
nas.search(task, space="timm", objectives={"val_acc": "up"})  # type: ignore[dict-item]
nas.search(task, space="timm", epoch=3)  # type: ignore[call-arg]
study.meta["created"] = 3  # type: ignore[typeddict-item]
study.best.metrics["val_acc"] = 1.0  # type: ignore[index]
