from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.tasks.making import Maker


class Base(LightningModule):
    def training_step(self, batch, _):
        return self(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Last(Base):
    def __init__(self, lr, network):
        super().__init__()
        self.lr, self.kept = lr, network


class Annotated(Base):
    def __init__(self, name: str, thing: nn.Module, lr: float = 0.1):
        super().__init__()
        self.kept = thing


class MaybeAnnotated(Base):
    def __init__(self, lr: float, thing: nn.Module | None = None):
        super().__init__()
        self.kept = thing


class Keyword(Base):
    def __init__(self, *, lr=0.1, net):
        super().__init__()
        self.kept = net


class First(Base):
    def __init__(self, anything, lr=0.1):
        super().__init__()
        self.kept = anything


class Resnet(Base):
    """Builds its own network, under two names."""

    def __init__(self, data_dir=".", hidden=3, lr=0.1):
        super().__init__()
        self.model = nn.Linear(4, hidden)
        self.task = nn.ModuleDict({"encoder": nn.Sequential(nn.Linear(4, 4), nn.ReLU())})
        self.whole = nn.Sequential(self.model, nn.Softmax(-1))
        self.name = "resnet"


class Late(Base):
    def __init__(self, width=3):
        super().__init__()
        self.model, self.width = None, width

    def configure_model(self):
        self.model = nn.Linear(4, self.width)


class Polite(Late):
    def configure_model(self):
        if self.model is None:
            raise AssertionError("built although there is one")


@pytest.mark.parametrize(
    ("factory", "arguments"),
    [(Last, {"lr": 1}), (Annotated, {"name": "a"}), (MaybeAnnotated, {"lr": 1}), (Keyword, {}), (First, {})],
)
def test_the_argument_is_found(factory, arguments):
    network = nn.Linear(4, 2)
    assert Maker(factory, "T").make(network, arguments).kept is network


def test_the_argument_is_named():
    def make(first, second):
        return First(second)

    network = nn.Linear(4, 2)
    assert Maker(make, "T", argument="second").make(network, {"first": 1}).kept is network
    with pytest.raises(TaskError, match=r"no argument 'secnd'[\s\S]*'second'"):
        Maker(make, "T", argument="secnd")
    with pytest.raises(TaskError, match="takes the network"):
        Maker(make, "T", argument="second").check_names(["second"], "it names")


@pytest.mark.parametrize("hint", [str, int, Path, "str", list[int], str | None, Literal["a"], "Path | None"])
def test_an_argument_that_cannot_be_a_network(hint):
    def make(thing, lr=0.1):
        raise AssertionError

    make.__annotations__["thing"] = hint
    with pytest.raises(TaskError, match=r"takes no network[\s\S]*network_argument[\s\S]*network_attribute[\s\S]*make"):
        Maker(make, "T")


@pytest.mark.parametrize("hint", [Any, object, nn.Sequential, "nn.Module", "Backbone", nn.Module | None])
def test_an_argument_that_may_be_one(hint):
    def make(thing, lr=0.1):
        raise AssertionError

    make.__annotations__["thing"] = hint
    assert Maker(make, "T").argument == "thing"


@pytest.mark.parametrize("path", ["model", "whole.0"])
def test_an_attribute_is_replaced_under_all_of_its_names(path):
    network = nn.Linear(4, 7)
    maker = Maker(Resnet, "T", attribute=path)
    maker.check_names(["data_dir", "hidden", "lr"], "it names")
    made = maker.make(network, {"lr": 1.0})
    assert made.model is network
    assert made.whole[0] is network


def test_a_dotted_path():
    network = nn.Linear(4, 7)
    made = Maker(Resnet, "T", attribute="task.encoder").make(network, {})
    assert made.task["encoder"] is network


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("modle", r"no attribute 'modle'[\s\S]*did you mean 'model'"),
        ("task.decoder", r"no attribute 'task.decoder'[\s\S]*encoder"),
        ("name", "'name', which is a str and not a network"),
        ("name.model", "'name', which is a str"),
    ],
)
def test_an_attribute_that_is_not_there(path, message):
    with pytest.raises(TaskError, match=message):
        Maker(Resnet, "T", attribute=path).make(nn.Linear(4, 7), {})


@pytest.mark.parametrize("factory", [Late, Polite])
def test_what_configure_model_builds_is_replaced(factory):
    network = nn.Linear(4, 7)
    made = Maker(factory, "T", attribute="model").make(network, {})
    if factory is Polite:
        made.model = network
    made.configure_model()
    made.configure_model()
    assert made.model is network


class InSetup(Base):
    """Builds its network in a hook that Lightning calls for every stage."""

    def __init__(self, width=3):
        super().__init__()
        self.width = width

    def setup(self, stage):
        self.model = nn.Linear(4, self.width)


class InBoth(InSetup):
    """Has a hook for data, and builds in the later one."""

    def setup(self, stage):
        self.data = stage

    def configure_model(self):
        self.model = nn.Linear(4, self.width)


def test_what_setup_builds_is_replaced():
    network = nn.Linear(4, 7)
    made = Maker(InSetup, "T", attribute="model").make(network, {})
    for stage in ("fit", "validate"):
        made.setup(stage=stage)
        assert made.model is network
    made = Maker(InBoth, "T", attribute="model").make(network, {})
    made.setup("fit")
    assert made.data == "fit"
    made.configure_model()
    assert made.model is network


def test_an_attribute_that_no_hook_makes():
    made = Maker(InSetup, "T", attribute="modle").make(nn.Linear(4, 7), {})
    with pytest.raises(TaskError, match="no attribute 'modle'"):
        made.setup("fit")
    made = Maker(InBoth, "T", attribute="modle").make(nn.Linear(4, 7), {})
    made.setup("fit")
    with pytest.raises(TaskError, match="no attribute 'modle'"):
        made.configure_model()


class Metrics(Base):
    def __init__(self, classes, task="multiclass"):
        super().__init__()
        self.head = nn.Linear(classes, 2)


class Grumpy(Base):
    def __init__(self, network):
        super().__init__()
        raise ValueError("too wide")


def test_a_first_argument_that_is_not_for_networks_is_answered_with_the_recipe():
    with pytest.raises(TaskError, match=r"first argument, 'classes'[\s\S]*network_argument=[\s\S]*network_attribute="):
        Maker(Metrics, "T").make(nn.Linear(4, 7), {})
    with pytest.raises(ValueError, match="too wide"):  # its name says that it takes networks
        Maker(Grumpy, "T").make(nn.Linear(4, 7), {})
    with pytest.raises(TypeError):  # the user has named it
        Maker(Metrics, "T", "classes").make(nn.Linear(4, 7), {})


def test_both_ways_at_once():
    with pytest.raises(TaskError, match="both given"):
        Maker(First, "T", "anything", "model")


class Positional(Base):
    def __init__(self, anything, /, lr=0.1):
        super().__init__()
        self.kept, self.lr = anything, lr


@pytest.mark.parametrize("factory", [Positional, First])
def test_a_first_argument_is_given_by_its_place(factory):
    """Some take it in no other way."""
    network = nn.Linear(4, 3)
    assert Maker(factory, "T").make(network, {"lr": 0.3}).kept is network


def losses(criterion: nn.Module, encoder: nn.Module, lr: float = 0.1):
    raise AssertionError


LOSS = nn.CrossEntropyLoss()


def loss_with_a_default(loss: nn.Module = LOSS, backbone: nn.Module | None = None):
    raise AssertionError


def loss_of_a_class(loss: nn.CrossEntropyLoss | None = None, trunk: nn.Module | None = None):
    raise AssertionError


def name_without_annotation(loss: nn.Module, model):
    raise AssertionError


def late_and_of_a_class(lr=0.1, thing: nn.Sequential | None = None):
    raise AssertionError


@pytest.mark.parametrize(
    ("factory", "given", "expected"),
    [
        (losses, ["criterion"], "encoder"),
        (losses, ["encoder"], "criterion"),
        (loss_with_a_default, [], "backbone"),
        (loss_of_a_class, [], "trunk"),
        (name_without_annotation, [], "model"),
        (late_and_of_a_class, [], "thing"),
    ],
)
def test_a_loss_or_a_metric_is_not_taken_for_the_network(factory, given, expected):
    assert Maker(factory, "T", given=given).argument == expected


def two(teacher: nn.Module, student: nn.Module):
    raise AssertionError


def two_with_defaults(metric: nn.Module | None = None, trunk: nn.Module | None = None):
    raise AssertionError


@pytest.mark.parametrize(("factory", "last"), [(two, "student"), (two_with_defaults, "trunk"), (losses, "encoder")])
def test_several_arguments_that_could_take_the_network_are_not_guessed(factory, last):
    with pytest.raises(TaskError, match=rf"several arguments[\s\S]*network_argument='{last}'[\s\S]*module_args"):
        Maker(factory, "T")
    assert Maker(factory, "T", last).argument == last


def test_the_argument_that_was_guessed_is_named_if_another_one_is_missing():
    def make(arch, encoder, channels=1):
        raise AssertionError

    with pytest.raises(TaskError, match=r"'encoder'; the network went to its first argument, 'arch'[\s\S]*attribute="):
        Maker(make, "T").make(nn.Linear(4, 7), {})
    with pytest.raises(TaskError, match=r"'encoder'\nDo: give the argument in module_args[^.]*$"):
        Maker(make, "T", "arch").make(nn.Linear(4, 7), {})
