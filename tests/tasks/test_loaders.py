from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import CombinedLoader
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nasplug.contract.errors import TaskError
from nasplug.lightning.distribution import data_for
from nasplug.tasks import LightningTask
from nasplug.tasks.loaders import read_data

SET = TensorDataset(torch.arange(32.0).reshape(16, 2), torch.arange(16) % 2)


def loader(**arguments) -> DataLoader:
    return DataLoader(SET, 4, **arguments)


class Lit(pl.LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _, dataloader_idx=0):
        self.log("val_loss", self.training_step(batch, _))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class OwnLoaders(Lit):
    def train_dataloader(self):
        return loader(shuffle=True)

    def val_dataloader(self):
        return loader()


class OwnValidation(Lit):
    def val_dataloader(self):
        return loader()


class Data(pl.LightningDataModule):
    def __init__(self, **more):
        super().__init__()
        self.__dict__.update(more)

    def train_dataloader(self):
        return loader()


def fitted(data, factory=Lit) -> dict:
    """The metrics of a training as the evaluator does it."""
    task = LightningTask(factory, data, (2,), 2)
    module = task.module(nn.Linear(2, 2))
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data_for(task.datamodule(), module, pl))
    assert trainer.global_step == 4
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize(
    "data",
    [
        Data(val_dataloader=loader),
        (loader(), loader()),
        [loader(), loader(), loader()],
        {"train": loader(), "val": loader()},
        {"training": loader(), "validation": loader(), "test": loader()},
    ],
)
def test_data_with_validation(data):
    assert set(fitted(data)) == {"val_loss"}


def test_one_loader_trains_and_the_modules_own_validates():
    assert fitted(loader()) == {}
    assert fitted((loader(),)) == {}
    assert set(fitted(loader(), OwnValidation)) == {"val_loss"}


def test_the_modules_own_loaders():
    assert set(fitted(None, OwnLoaders)) == {"val_loss"}


def test_a_part_that_is_none_is_the_modules_own_or_absent():
    assert fitted((loader(), None)) == fitted({"train": loader(), "val": None}) == {}
    assert set(fitted((loader(), None), OwnValidation)) == {"val_loss"}
    assert set(fitted((None, loader()), OwnLoaders)) == {"val_loss"}


def test_a_combined_loader_begins_anew_for_every_trial():
    given = CombinedLoader([loader(shuffle=True, generator=torch.Generator().manual_seed(0))], "sequential")
    source = read_data((given, loader()), Lit)
    orders = [[batch[0][:, 0].tolist() for batch, _, _ in source.datamodule(pl).train_dataloader()] for _ in range(2)]
    assert len(orders[0]) == 4
    assert orders[0] == orders[1]


def test_two_validation_loaders():
    assert set(fitted((loader(), [loader(), loader()]))) == {"val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no train_dataloader of its own"),
        (Data, "make an instance"),
        (SET, r"TensorDataset is not a loader[\s\S]*DataLoader\(dataset"),
        (SET.tensors, r"data, train: a Tensor is not a loader[\s\S]*TensorDataset"),
        ((np.zeros((4, 2)), np.zeros(4)), r"data, train: a ndarray is not a loader"),
        ((loader(), SET), "data, val: a TensorDataset"),
        ({"train": loader(), "vla": loader()}, r"no part 'vla'[\s\S]*did you mean 'val'"),
        ({"val": loader()}, "no part 'train'"),
        ({}, "no part 'train'"),
        ((), "tuple of 0"),
        ((loader(), loader(), loader(), loader()), "tuple of 4"),
        ("data/", "cannot train on 'data/'"),
        (3, "cannot train on 3"),
        (iter(loader()), "read only once"),
        ((loader, loader), r"data, train[\s\S]*call it: loader\(\)"),
        ((None, loader()), "no train_dataloader of its own"),
        ({"train": None, "val": loader()}, "no part 'train'"),
    ],
)
def test_anything_else_is_refused_at_once(data, message):
    with pytest.raises(TaskError, match=message):
        LightningTask(Lit, data, (2,), 2)


def test_a_function_whose_module_has_no_loaders_is_refused_with_it():
    task = LightningTask(lambda network: Lit(network), None, (2,), 2)
    with pytest.raises(TaskError, match="Lit has no train_dataloader"):
        data_for(task.datamodule(), task.module(nn.Linear(2, 2)), pl)


def test_every_trial_has_the_random_numbers_of_the_first():
    data = Data(torchs=torch.Generator().manual_seed(3), numpys=np.random.default_rng(3), pythons=random.Random(3))
    source = read_data(data, Lit)
    first, second = source.datamodule(pl), source.datamodule(pl)
    draws = [
        (float(torch.rand((), generator=made.torchs)), made.numpys.random(), made.pythons.random())
        for made in (first, second)
    ]
    assert draws[0] == draws[1]
    assert draws[0] != (float(torch.rand((), generator=first.torchs)), first.numpys.random(), first.pythons.random())


@pytest.mark.parametrize("own_sampler", [False, True])
def test_every_trial_has_the_batches_of_the_first(own_sampler):
    generator = torch.Generator().manual_seed(0)
    given = (
        loader(sampler=torch.utils.data.RandomSampler(SET, generator=generator))
        if own_sampler
        else loader(shuffle=True, generator=generator)
    )
    source = read_data((given, [loader()]), Lit)
    orders = []
    for _ in range(2):
        train = source.datamodule(pl).train_dataloader()
        orders.append([batch[0][:, 0].tolist() for _ in range(2) for batch in train])
    assert orders[0] == orders[1]
    assert orders[0][:4] != orders[0][4:]


def test_loaders_and_data_modules_travel():
    for data in ((loader(), loader()), Data(a=torch.Generator().manual_seed(1))):
        copy = pickle.loads(pickle.dumps(LightningTask(Lit, data, (2,), 2)))
        assert len(list(copy.datamodule().train_dataloader())) == 4
