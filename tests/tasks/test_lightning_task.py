from __future__ import annotations

import functools
import pickle

import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs, OutputSpec
from nasplug.contract.protocols import Task
from nasplug.tasks import LightningTask


class Lit(LightningModule):
    def __init__(self, network, lr=0.1, *, width: int = 3):
        super().__init__()
        self.network, self.lr, self.width = network, lr, width

    def training_step(self, batch, batch_index):
        return self.network(batch[0]).square().mean()

    def validation_step(self, batch, batch_index):
        self.log("val_mse", self.network(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)


class Needs(Lit):
    def __init__(self, network, weight):
        super().__init__(network)
        self.weight = weight


class Open(Lit):
    def __init__(self, backbone, **more):
        super().__init__(backbone)
        self.more = more


class NoNetwork(LightningModule):
    def __init__(self, *, lr=1.0):
        super().__init__()


class Data(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(8, 4)), 4)

    val_dataloader = train_dataloader


def task(module=Lit, **more) -> LightningTask:
    return LightningTask(module, Data(), input_shape=(4,), outputs=2, **{"objectives": {"val_mse": "min"}, **more})


def test_trains_a_users_module(make_trainer):
    it = task(module_args={"width": 5})
    assert isinstance(it, Task)
    assert (it.input_shape, it.outputs, it.objectives) == ((4,), 2, {"val_mse": "min"})
    torch.manual_seed(0)
    module = it.module(nn.Linear(4, 2), {"lr": 0.125})
    assert (module.lr, module.width) == (0.125, 5)
    trainer, before = make_trainer(max_epochs=3), float(module.network(torch.ones(1, 4)).square().mean().detach())
    trainer.fit(module, datamodule=it.datamodule())
    assert float(trainer.callback_metrics["val_mse"]) < 0.1 * before


def test_hyperparameters_win_over_module_args():
    assert task(module_args={"lr": 9.0}).module(nn.Linear(4, 2), {"lr": 0.5}).lr == 0.5


def test_unknown_hyperparameters_are_named_before_training():
    it = task()
    it.check_hyperparameters(["lr", "width"])
    with pytest.raises(TaskError, match=r"proposes 'widht'[\s\S]*did you mean 'width'"):
        it.check_hyperparameters(["lr", "widht"])
    with pytest.raises(TaskError, match="takes the network"):
        it.check_hyperparameters(["network"])
    with pytest.raises(TaskError, match="module_args names 'dept'"):
        task(module_args={"dept": 1})
    with pytest.raises(TaskError, match="'depth'"):
        it.module(nn.Linear(4, 2), {"depth": 1})


def test_a_module_that_takes_everything():
    it = task(Open)
    it.check_hyperparameters(["anything", "network"])
    assert it.module(nn.Linear(4, 2), {"anything": 1}).more == {"anything": 1}
    with pytest.raises(TaskError, match="takes the network"):
        it.check_hyperparameters(["backbone"])


def test_a_function_and_a_partial_make_modules():
    def make(network, depth=1):
        return Lit(network, lr=depth)

    assert task(make).module(nn.Linear(4, 2), {"depth": 7}).lr == 7
    assert task(functools.partial(Lit, width=8)).module(nn.Linear(4, 2), {"lr": 2.0}).width == 8


def test_a_missing_argument():
    with pytest.raises(TaskError, match=r"'weight'[\s\S]*module_args"):
        task(Needs).module(nn.Linear(4, 2), {})
    assert task(Needs).module(nn.Linear(4, 2), {"weight": 3}).weight == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"module": NoNetwork}, "takes no network"),
        ({"module": lambda: None}, "takes no network"),
        ({"module": Lit(nn.Linear(4, 2))}, "module is a Lit, neither a class"),
        ({"module": 3}, "neither a class nor a function"),
        ({"module": Lit, "outputs": 0}, "outputs is 0"),
        ({"module": Lit, "input_shape": ()}, "input_shape"),
        ({"module": Lit, "input_shape": (3, -1)}, "input_shape"),
        ({"module": Lit, "objectives": {"val_acc": "up"}}, "direction 'up'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(TaskError, match=message):
        LightningTask(**{"data": Data(), "input_shape": (4,), "outputs": 2, **arguments})


def test_something_that_is_no_lightning_module():
    with pytest.raises(TaskError, match="gave a Linear"):
        task(lambda network: network).module(nn.Linear(4, 2), {})


def test_travels_without_its_trainer(make_trainer):
    it = task()
    data = it.datamodule()
    trainer = make_trainer(max_epochs=1)
    trainer.fit(it.module(nn.Linear(4, 2), {}), datamodule=data)
    assert it.datamodule().trainer is None
    it._source.data.trainer = trainer
    copy = pickle.loads(pickle.dumps(it))
    assert copy._source.data.trainer is None
    assert it._source.data.trainer is trainer
    assert copy.module(nn.Linear(4, 2), {"lr": 0.25}).lr == 0.25


def test_inputs_and_output_are_stated():
    it = LightningTask(Lit, Data(), inputs={"shape": [16], "dtype": "int64", "high": 9}, outputs=3, output="sequence")
    assert (it.input_shape, it.outputs) == ((16,), 3)
    assert it.inputs == Inputs.of({"shape": [16], "dtype": "int64", "high": 9})
    assert it.output == OutputSpec("sequence", 3)
    short = task()
    assert (short.inputs, short.output) == (Inputs.of((4,)), OutputSpec("vector", 2))
    assert LightningTask(Lit, Data(), (1, 8, 8), output={"kind": "map", "channels": 4}).outputs == 4
    assert pickle.loads(pickle.dumps(it)).inputs == it.inputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (4,), "inputs": (4,), "outputs": 2}, "both given"),
        ({"input_shape": (4,)}, "number of channels is missing"),
        ({"input_shape": (4,), "outputs": 2, "output": "pixels"}, "unknown output 'pixels'"),
        ({"inputs": {"shape": [4], "dtype": "long"}, "outputs": 2}, "unknown type 'long'"),
        ({"input_shape": (), "outputs": 2}, "cannot read"),
        ({"input_shape": ("4",), "outputs": 2}, "not positive integers"),
    ],
)
def test_wrong_inputs_and_outputs_name_the_task(arguments, message):
    with pytest.raises(TaskError, match=message) as caught:
        LightningTask(Lit, Data(), **arguments)
    assert "LightningTask(Lit)" in str(caught.value)
