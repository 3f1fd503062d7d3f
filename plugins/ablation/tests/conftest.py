"""Small modules and data to take apart."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from nasplug_ablation.bench import Workbench
from nasplug_ablation.task import AblationTask
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Block(nn.Module):
    """A residual block, or one of stride 2 without a shortcut."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.act = nn.BatchNorm2d(outputs), nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.short = stride == 1

    def forward(self, x):
        y = self.conv2(self.act(self.bn1(self.conv1(x))))
        return x + y if self.short else y


class Images(nn.Module):
    """Stem, two residual blocks, a gate, a stage of stride 2, a branch that is joined, a head."""

    def __init__(self, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8, 8), Block(8, 8))
        self.stage = nn.Sequential(Block(8, 16, 2), nn.BatchNorm2d(16), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.side = nn.Conv2d(16, 4, 1)
        self.drop = nn.Dropout(0.1)
        self.never = nn.Linear(3, 3)
        self.nothing = nn.Identity()
        self.head = nn.Linear(20, classes)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        x = self.stage(x * self.gate(x))
        x = torch.cat([x, self.side(x)], 1)
        return self.head(self.nothing(self.drop(x.mean((2, 3)))))


class Lit(pl.LightningModule):
    """Trains `Images`; its loss has a term with a weight, one that is a method, and one that is a module."""

    def __init__(self, lr=0.01, beta=0.1, smoothing=0.0):
        super().__init__()
        self.save_hyperparameters()
        self.net, self.l1, self.weights = Images(), nn.L1Loss(), {"square": 0.1, "zero": 0.0}

    def size(self, logits):
        return logits.abs().mean()

    def training_step(self, batch, _):
        logits = self.net(batch[0])
        loss = nn.functional.cross_entropy(logits, batch[1], label_smoothing=self.hparams.smoothing)
        loss = loss + self.hparams.beta * self.size(logits) + self.l1(logits, logits * 0)
        return loss + self.weights["square"] * logits.square().mean()

    def validation_step(self, batch, _):
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)


class Data(pl.LightningDataModule):
    """Images of two channels, of which the first says the class."""

    def __init__(self, size=8, noise=0.1):
        super().__init__()
        y = torch.arange(48) % 3
        x = noise * torch.randn(48, 2, size, size, generator=torch.Generator().manual_seed(0))
        x[:, 0] += y[:, None, None] / 3
        self.data = TensorDataset(x, y)

    def train_dataloader(self):
        return DataLoader(self.data, 16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.data, 48)


class Noisy(Dataset):
    """A data set with transforms, as torchvision has them."""

    class Compose:
        def __init__(self, transforms):
            self.transforms = transforms

        def __call__(self, x):
            for step in self.transforms:
                x = step(x)
            return x

    def __init__(self, *steps):
        self.transform = self.Compose(list(steps))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.transform(torch.full((2,), float(index)))


@pytest.fixture
def task():
    return AblationTask(Lit, Data)


@pytest.fixture
def bench(task):
    return Workbench(task)
