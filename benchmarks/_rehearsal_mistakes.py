"""A search that is right, and the systematic mistakes that people make in it, each a small change of its own.

Run as a script by `rehearsal.py`: `python _rehearsal_mistakes.py MISTAKE WORKERS STORAGE`. Read from standard input
(`python - < file`), the very start is the mistake: worker processes have no file to import the classes from.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas

TRIALS = 12


def loader(count: int = 96, classes: int = 4) -> DataLoader:
    """Random images (1, 12, 12) with labels, 16 at a time."""
    generator = torch.Generator().manual_seed(count)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return DataLoader(TensorDataset(torch.rand(count, 1, 12, 12, generator=generator), labels), 16)


class Right(pl.LightningModule):
    """Trains the network and logs what the search asks for."""

    name = "valid/accuracy"

    def __init__(self, net: nn.Module, lr: float = 0.01) -> None:
        super().__init__()
        self.net, self.lr = net, lr

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log(self.name, (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.lr)


class NeverLogged(Right):
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.net(batch[0])


class Typo(Right):
    name = "valid/acuracy"


class LogsToTensorBoard(Right):
    def on_train_epoch_end(self) -> None:
        self.logger.experiment.add_scalar("epoch", self.current_epoch)


class NoLoaderIndex(Right):
    def validation_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        super().validation_step(batch, batch_idx)


class OwnNetwork(Right):
    def __init__(self, net: nn.Module, lr: float = 0.01) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(144, 4)), lr)


class WrongLoss(Right):
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return nn.functional.mse_loss(self.net(batch[0]), batch[1].float().view(-1, 2))


class Broken:
    """A cost that every network makes fail."""

    @nas.hookimpl
    def cost(self, candidate: nas.Candidate, target: object) -> dict[str, float]:
        return {"broken": 1 / (candidate.input_shape[0] - 1)}


class Widths(nas.ChoiceSpace):
    """A convolution of one of twelve widths."""

    def __init__(self, forgotten: int = 0) -> None:
        super().__init__("widths", [nas.Choice("width", tuple(range(4, 16)))])
        self.forgotten = forgotten

    def build(self, architecture: nas.Architecture, task: Any) -> nn.Module:
        width = architecture.genotype[0]
        layers = [nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width + self.forgotten, task.outputs))


#: What differs from the search that is right.
MISTAKES: dict[str, dict[str, Any]] = {
    "a metric that is never logged": {"module": NeverLogged},
    "a typo where the metric is logged": {"module": Typo},
    "a typo in the objective": {"objectives": {"valid/acc": "max"}},
    "a typo in a constraint": {"constraints": ["valid/acuracy >= 0.1"]},
    "self.logger.experiment without a logger": {"module": LogsToTensorBoard},
    "two validation loaders, one metric": {"data": {"train": loader(), "val": [loader(32), loader(48)]}},
    "two validation loaders, no dataloader_idx": {
        "module": NoLoaderIndex, "data": {"train": loader(), "val": [loader(32), loader(48)]},
    },
    "a module that trains another network": {"module": OwnNetwork},
    "a loss that does not fit the targets": {"module": WrongLoss},
    "more classes than outputs": {"data": (loader(classes=9), loader(32, classes=9))},
    "a space whose layers do not fit": {"space": Widths(forgotten=1)},
    "a cost that always fails": {"costs": [Broken()]},
}  # fmt: skip


def search(mistake: str, workers: int, storage: str) -> dict[str, Any]:
    """Runs a search with a mistake.

    Args:
        mistake: Name of the mistake; `nothing` is the search that is right.
        workers: Number of worker processes, 1 for the driver itself.
        storage: Study file.

    Returns:
        The message, seconds from the call to the message, and the number of trials that were spent.
    """
    change = dict(MISTAKES.get(mistake, {}))
    module, data = change.pop("module", Right), change.pop("data", (loader(), loader(32)))
    arguments = {"space": Widths(), "objectives": {"valid/accuracy": "max"}, "trials": TRIALS, "epochs": 3, **change}
    message, started = "", time.perf_counter()
    try:
        nas.search(
            nas.LightningTask(module, data, (1, 12, 12), 4),
            storage=storage, workers=workers, progress=False, **arguments,
        )  # fmt: skip
    except nas.errors.NasplugError as error:
        message = str(error)
    seconds = time.perf_counter() - started
    spent = len(list(nas.load_study(storage).trials)) if Path(storage).is_file() else 0
    return {"message": message, "wall_seconds": seconds, "trials_spent": spent}


if __name__ == "__main__":
    print(json.dumps(search(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
