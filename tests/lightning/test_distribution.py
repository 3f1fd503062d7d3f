from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.lightning.distribution import data_for, lightning_of, name_of, overrides
from nasplug.tasks import ImageClassification

other = pytest.importorskip("lightning.pytorch")


def lit(lightning):
    class Lit(lightning.LightningModule):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("val_acc", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    return Lit


def batches() -> DataLoader:
    return DataLoader(TensorDataset(torch.rand(16, 1, 8, 8), torch.arange(16) % 2), 8)


def data(lightning):
    class Data(lightning.LightningDataModule):
        def train_dataloader(self):
            return batches()

        val_dataloader = train_dataloader

    return Data()


class Space(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("flat", [nas.Choice("width", (2, 3))])

    def build(self, architecture, task):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, architecture.genotype[0]), nn.Linear(architecture.genotype[0], 10)
        )


def state(module, given) -> str:
    task = nas.LightningTask(module, given, (1, 8, 8), 10)
    return nas.search(task, space=Space(), trials=1, progress=False).trials[0].state


@pytest.mark.parametrize("lightning", [pl, other])
def test_a_module_finds_its_distribution(lightning):
    assert lightning_of(lit(lightning)) is lightning_of(lit(lightning)(nn.ReLU())) is lightning
    assert name_of(nn.ReLU) is None
    assert lightning_of(nn.ReLU) is pl
    assert overrides(lit(lightning), "validation_step")
    assert not overrides(lit(lightning), "test_step")
    assert not overrides(lit(lightning)(nn.ReLU()), "setup")


@pytest.mark.parametrize("lightning", [pl, other])
@pytest.mark.parametrize("kind", ["module", "loaders"])
def test_one_distribution_throughout(lightning, kind):
    assert state(lit(lightning), data(lightning) if kind == "module" else (batches(), batches())) == "complete"


@pytest.mark.parametrize("lightning", [pl, other])
def test_the_data_of_nasplug_go_with_both(lightning):
    assert state(lit(lightning), ImageClassification(limit=100).datamodule()) == "complete"


@pytest.mark.parametrize(("first", "second"), [(pl, other), (other, pl)])
def test_a_mix_is_refused_by_name_before_anything_runs(first, second):
    names = rf"Lit comes from `{first.__name__}` and Data from `{second.__name__}`[\s\S]*import {first.__name__} as pl"
    with pytest.raises(TaskError, match=names):
        nas.LightningTask(lit(first), data(second), (1, 8, 8), 10)
    with pytest.raises(TaskError, match=names):
        data_for(data(second), lit(first)(nn.ReLU()), first)
