"""A module that trains something else than the candidate is refused, and none that trains it."""

from __future__ import annotations

import copy

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.evaluate.inside import check_inside

X, Y = torch.rand(32, 4), torch.arange(32) % 2
DATA = (DataLoader(TensorDataset(X, Y), 8), DataLoader(TensorDataset(X, Y), 16))


class Widths(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("widths", [nas.Choice("width", (2, 3, 4, 5))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, task.outputs))


class Keeps(pl.LightningModule):
    """Trains the network that it is given."""

    def __init__(self, network, lr=0.1):
        super().__init__()
        self.net, self.lr = network, lr

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)


class OwnNetwork(Keeps):
    def __init__(self, name, lr=0.1):
        super().__init__(nn.Linear(4, 2), lr)
        self.name = [name]


class Copies(Keeps):
    def __init__(self, network):
        super().__init__(copy.deepcopy(network))


class InAList(Keeps):
    def __init__(self, network):
        super().__init__(nn.Linear(4, 2))
        self.net, self.nets = None, [network]
        self.own = nn.Linear(4, 2)

    def forward(self, x):
        return self.own(x)


class WithoutHead(Keeps):
    def __init__(self, network):
        super().__init__(nn.Sequential(*list(network)[:-1], nn.LazyLinear(2)))


class NeverCalled(Keeps):
    def __init__(self, network):
        super().__init__(network)
        self.other = nn.Linear(4, 2)

    def forward(self, x):
        return self.other(x)


class Detached(NeverCalled):
    def forward(self, x):
        return self.other(x) + self.net(x).detach()


class NotOptimised(NeverCalled):
    def forward(self, x):
        return self.other(x) + self.net(x)

    def configure_optimizers(self):
        return torch.optim.SGD(self.other.parameters(), 0.1)


class RebuildsLate(Keeps):
    def __init__(self, lr=0.1):
        super().__init__(nn.Linear(4, 2), lr)

    def on_fit_start(self):
        self.net = nn.Linear(4, 2)


class Late(Keeps):
    """Puts the network in after its constructor."""

    def __init__(self, network):
        super().__init__(None)
        self.held = [network]

    def configure_model(self):
        self.net = self.held[0]


class LateInSetup(Late):
    configure_model = pl.LightningModule.configure_model

    def setup(self, stage):
        self.net = self.held[0]


class Wrapped(Keeps):
    def __init__(self, network):
        super().__init__(nn.Sequential(nn.BatchNorm1d(4), network))


class Averaged(Keeps):
    def __init__(self, network):
        super().__init__(network)
        self.ema = copy.deepcopy(network).requires_grad_(False)


class Reparametrised(Keeps):
    def __init__(self, network):
        super().__init__(network)
        nn.utils.parametrizations.weight_norm(self.net[0])


class ChangesTheHead(Keeps):
    def __init__(self, network):
        super().__init__(network)
        network[2] = nn.Linear(network[2].in_features, 5)


class AddsALayer(Keeps):
    def __init__(self, network):
        super().__init__(network.append(nn.Linear(2, 2)))


class ChangesItLate(Keeps):
    def on_fit_start(self):
        self.net[2] = nn.Linear(self.net[2].in_features, 5)


class WarmsUp(Keeps):
    """The first steps have a learning rate of 0."""

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step < 2 else 0.1)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Frozen(NeverCalled):
    """Trains a head on a network that is meant to stay."""

    def __init__(self, network):
        super().__init__(network.requires_grad_(False))

    def forward(self, x):
        return self.other(x) + self.net(x)


class Manual(Keeps):
    def __init__(self, network):
        super().__init__(network)
        self.automatic_optimization = False

    def training_step(self, batch, _):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, _))
        optimizer.step()


class TakesTurns(Keeps):
    """The network is trained in every third step, as the generator of a GAN is."""

    def __init__(self, network):
        super().__init__(network)
        self.critic = nn.Linear(4, 2)
        self.automatic_optimization = False

    def training_step(self, batch, index):
        optimizer = self.optimizers()[index % 3 == 2]
        optimizer.zero_grad()
        self.manual_backward(nn.functional.cross_entropy(self(batch[0]) + self.critic(batch[0]), batch[1]))
        optimizer.step()

    def configure_optimizers(self):
        return torch.optim.SGD(self.critic.parameters(), 0.1), torch.optim.SGD(self.net.parameters(), 0.1)


def search(module, **task) -> nas.Study:
    made = nas.LightningTask(module, DATA, (4,), 2, **task)
    return nas.search(made, space=Widths(), trials=2, epochs=1, costs=["params"], progress=False)


def outcome(module, **task) -> str:
    """What the first trial, or the search, ended with."""
    study = search(module, **task)
    return study.trials[0].failure.message if study.trials[0].failure else study.trials[0].state


@pytest.mark.parametrize(
    "module",
    [Keeps, Late, LateInSetup, Wrapped, Averaged, WarmsUp, Frozen, Manual, TakesTurns],
)
def test_modules_that_train_the_candidate(module):
    assert outcome(module) == "complete"


def test_the_network_is_put_in_place_of_the_modules_own():
    study = search(OwnNetwork, module_args={"name": "a"}, network_attribute="net")
    first = study.trials[0]
    network = study.network(first)
    assert sum(p.numel() for p in network.parameters()) == first.costs["params"]
    assert first.state == "complete"


@pytest.mark.parametrize(
    ("module", "task", "message"),
    [
        (OwnNetwork, {}, r"none of its parameters[\s\S]*its own 'net', a Linear[\s\S]*network_attribute=[\s\S]*make"),
        (Copies, {}, r"none of its parameters[\s\S]*its own 'net', a Sequential"),
        (InAList, {}, r"none of its parameters"),
        (WithoutHead, {}, r"of 4 parameters, 2 are not among its own, the first is '2.weight'"),
        (RebuildsLate, {"network_attribute": "net"}, r"does not keep the candidate network[\s\S]*put into 'net'"),
        (NeverCalled, {}, r"did not change in \d+ training step[\s\S]*call it in training_step"),
        (Detached, {}, r"did not change in \d+ training step"),
        (NotOptimised, {}, r"no optimiser has the parameters[\s\S]*configure_optimizers"),
    ],
)
def test_modules_that_train_something_else(module, task, message):
    with pytest.raises(TaskError, match=message):
        search(module, **task)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Reparametrised, r"when it is made: '0.parametrizations[\s\S]*around it"),
        (ChangesTheHead, r"'2.bias' has shape \(2,\) before and has shape \(5,\) afterwards"),
        (AddsALayer, r"'3.bias' does not exist before"),
        (ChangesItLate, r"rehearsal: the network's structure changed[\s\S]*No trial was spent"),
    ],
)
def test_modules_that_make_another_network_of_the_candidate(module, message):
    with pytest.raises(nas.NasplugError, match=message):
        search(module)


def test_a_compiled_and_a_scripted_network_is_the_same_network():
    network = nn.Linear(4, 2)
    check_inside(network, nn.ModuleDict({"a": torch.compile(network)}), "T")
    check_inside(network, nn.ModuleDict({"a": torch.jit.script(network)}), "T")
    check_inside(nn.ReLU(), nn.ModuleDict(), "T")  # nothing to train
