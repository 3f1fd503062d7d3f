"""A user's project: a module, its checkpoint and its data."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest
import torch

PROJECT = '''
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nasplug_reduction.example import SmallResNet


def images(seed, number):
    """Classes are the channel that is bright."""
    random = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (number,), generator=random)
    x = torch.rand(number, 3, 8, 8, generator=random)
    x[torch.arange(number), y] += 0.7
    return TensorDataset(x, y)


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(images(0, 240), 32, shuffle=True)

    def val_dataloader(self):
        return DataLoader(images(1, 90), 90)


class Lit(pl.LightningModule):
    def __init__(self, width=8, lr=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.net = SmallResNet(width, 2, 3)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _):
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams.lr)


class Whole(Lit):
    """Layers of its own beside a part: the module itself is the network."""

    def __init__(self, width=8, lr=0.01):
        super().__init__(width, lr)
        layers = list(self.net)
        del self.net
        self.stem, self.rest = layers[0], nn.Sequential(*layers[1:])

    def forward(self, x):
        return self.rest(self.stem(x))


def plain(width=8):
    return SmallResNet(width, 2, 3)


def train(module, epochs=4):
    trainer = pl.Trainer(
        max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )
    torch.manual_seed(0)
    trainer.fit(module, datamodule=Data())
    return trainer
'''


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A folder on the path with `own_project.py`, `w.ckpt` (width 12), `whole.ckpt` and `plain.pt`."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "own_project.py").write_text(dedent(PROJECT))
    sys.path.insert(0, str(folder))
    import own_project

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # alike, whichever test comes first
        own_project.train(own_project.Lit(width=12)).save_checkpoint(folder / "w.ckpt")
        whole = own_project.Whole()
        own_project.train(whole).save_checkpoint(folder / "whole.ckpt")
        plain = own_project.Lit()
        own_project.train(plain)
        torch.save(plain.net.state_dict(), folder / "plain.pt")
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
