"""Small networks with a trouble each, for trials that several processes train together."""

from __future__ import annotations

import importlib
import os
import signal
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import nasplug as nas

NASPLUG_CONTRACT = "2.0"
TROUBLES = ("none", "second raises", "second dies", "second dies once", "both raise", "edits", "sleep")


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.space("troubled", f"{__name__}:Troubled", summary="Networks with a trouble each.")
    catalog.task("points", f"{__name__}:Points", summary="Points of three classes.")
    catalog.callback("editing", f"{__name__}:Editing", summary="Edits a network that says so.")
    catalog.stopper("at_two", f"{__name__}:AtTwo", summary="Stops after the second epoch.")


class Troubled(nas.ChoiceSpace):
    """A width, and what goes wrong."""

    def __init__(self) -> None:
        super().__init__("troubled", [nas.Choice("width", (4, 8)), nas.Choice("trouble", TROUBLES)])

    def build(self, architecture: nas.Architecture, task: nas.Task) -> nn.Module:
        width, trouble = architecture.genotype
        return Network(int(width), str(trouble))


class Network(nn.Module):
    """Two layers with batch normalisation between them, and one that is not used."""

    def __init__(self, width: int, trouble: str) -> None:
        super().__init__()
        self.trouble, self.idle = trouble, nn.Linear(2, 2)
        self.layers = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        if distributed.is_initialized() and self.training:
            if self.trouble == "sleep":
                with Path(os.environ["SEVERAL_FLAG"]).open("a") as file:
                    file.write(f"{os.getpid()}\n")
                time.sleep(600)
            second = distributed.get_rank() == 1
            if (second and self.trouble == "second raises") or self.trouble == "both raise":
                raise RuntimeError("bad luck")
            if second and self.trouble.startswith("second dies"):
                flag = Path(os.environ["SEVERAL_FLAG"])
                if self.trouble == "second dies" or not flag.exists():
                    flag.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        return self.layers(x)


class Training:
    """Cross-entropy; says which samples it has seen, and what each process measures of its own. A mixin."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.seen = network, set()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        self.seen |= set(x[:, 0].tolist())
        loss = nn.functional.cross_entropy(self.network(x), y)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("seen", float(len(self.seen)))
        self.log("first", min(self.seen))
        self.log("draw", float(torch.rand(())))
        self.seen = set()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        x, y = batch
        answers = self.network(x)
        self.log("val_loss", nn.functional.cross_entropy(answers, y))
        self.log("right", (answers.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Module(Training, pl.LightningModule):
    """Of one distribution of Lightning."""


def points(count: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 2, generator=generator)
    return TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())


class Stream(IterableDataset):
    """Points without positions."""

    def __iter__(self):
        return iter(points(64))


class Loaders:
    """64 points to train on, and 30 to validate on. A mixin."""

    def __init__(self, stream: bool, batch: int) -> None:
        super().__init__()
        self.stream, self.batch = stream, batch

    def train_dataloader(self) -> DataLoader:
        if self.stream:
            return DataLoader(Stream(), batch_size=self.batch)
        return DataLoader(points(64), batch_size=self.batch, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(points(94), batch_size=30, sampler=range(64, 94))


class Data(Loaders, pl.LightningDataModule):
    """Of one distribution of Lightning."""


class Points:
    """The task."""

    input_shape = (2,)
    outputs = 3

    def __init__(self, stream: bool = False, batch: int = 8, other: bool = False) -> None:
        self.other = other
        self.stream, self.batch, self.objectives = stream, batch, {"val_loss": "min"}

    def check_hyperparameters(self, names: object) -> None:
        """Takes all."""

    def module(self, network: nn.Module, hyperparameters: object) -> pl.LightningModule:
        if self.other:
            base = importlib.import_module("lightning.pytorch").LightningModule
            return type("OtherModule", (Training, base), {})(network)
        return Module(network)

    def datamodule(self) -> pl.LightningDataModule:
        if self.other:
            base = importlib.import_module("lightning.pytorch").LightningDataModule
            return type("OtherData", (Loaders, base), {})(self.stream, self.batch)
        return Data(self.stream, self.batch)


class Editing:
    """Adds a layer after the first epoch, where the network says so."""

    @nas.hookimpl
    def configure_callbacks(self, run: nas.TrialRun) -> list[pl.Callback]:
        class Edit(pl.Callback):
            def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
                if run.network.trouble == "edits" and trainer.current_epoch == 1:
                    run.edit({"by": "editing"})

        return [Edit()]


class AtTwo:
    """Stops after the second epoch."""

    @nas.hookimpl
    def should_prune(self, run: nas.TrialRun, measurement: nas.Measurement) -> str | None:
        return "two are enough" if measurement.step == 2 else None
