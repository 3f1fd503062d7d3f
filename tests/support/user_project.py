"""What a user brings: a Lightning module, a data module and a search space, in a file that workers can import."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

import nasplug as nas


class DigitsData(pl.LightningDataModule):
    """Real images: 256 digits to train on, 128 to validate."""

    def __init__(self, batch_size: int = 32, shuffle: bool = True) -> None:
        super().__init__()
        self.batch_size, self.shuffle = batch_size, shuffle

    def setup(self, stage: str) -> None:
        images, labels = load_digits(return_X_y=True)
        self.images = torch.tensor(images / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
        self.labels = torch.tensor(labels)

    def _loader(self, begin: int, end: int, shuffle: bool) -> DataLoader:
        return DataLoader(TensorDataset(self.images[begin:end], self.labels[begin:end]), self.batch_size, shuffle)

    def train_dataloader(self) -> DataLoader:
        return self._loader(0, 256, self.shuffle)

    def val_dataloader(self) -> DataLoader:
        return self._loader(256, 384, False)


class LitDigits(pl.LightningModule):
    """An ordinary LightningModule that takes a network, and keeps its arguments as people do."""

    def __init__(self, network: nn.Module, lr: float = 1e-2, fail_at: int = -1) -> None:
        super().__init__()
        self.save_hyperparameters()  # the network among them, which no plain checkpoint could load
        self.network, self.lr, self.fail_at = network, lr, fail_at
        self.accuracy, self.f1 = MulticlassAccuracy(10), MulticlassF1Score(10)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        loss = nn.functional.cross_entropy(self.network(images), labels)
        if self.current_epoch == self.fail_at and batch_idx == 1:
            loss = loss * float("nan")
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        images, labels = batch
        logits = self.network(images)
        self.accuracy(logits, labels)
        self.f1(logits, labels)
        self.log("val_acc", self.accuracy)
        self.log("val_f1", self.f1)
        self.log("val_loss", nn.functional.cross_entropy(logits, labels))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Widths(nas.ChoiceSpace):
    """One hidden layer; `trouble` makes networks that fail."""

    def __init__(self, trouble: tuple[str, ...] = ("none",)) -> None:
        super().__init__(
            "widths",
            [nas.Choice("width", (4, 8, 16)), nas.Choice("act", ("relu", "tanh")), nas.Choice("trouble", trouble)],
        )

    def build(self, architecture, task):
        width, act, trouble = architecture.genotype
        if trouble == "build":
            raise ValueError("no such layer")
        features = 1
        for size in task.input_shape:
            features *= size
        last = nn.Linear(width + (trouble == "shape"), task.outputs)
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(features, width), nn.ReLU() if act == "relu" else nn.Tanh(), last
        )
        if trouble == "tied":
            network.append(nn.Linear(task.outputs, task.outputs))
            network.append(nn.Linear(task.outputs, task.outputs))
            network[5].weight = network[4].weight
        return network


class Continues:
    """Proposes one network for a few epochs, then the same, continued."""

    keeps_checkpoints = True

    def __init__(self, epochs: tuple[int, ...] = (2, 4), links: bool = True) -> None:
        self.epochs, self.links = epochs, links

    @nas.hookimpl
    def propose(self, study: nas.Study, count: int) -> list[nas.Proposal]:
        if study.pending or study.proposed == len(self.epochs):
            return []
        architecture = study.space.architecture([8, "tanh", "none"])
        parent = study.trials[-1] if study.trials and self.links else None
        return [study.proposal(architecture, epochs=self.epochs[study.proposed], parent=parent)]
