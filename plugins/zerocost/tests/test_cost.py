"""The cost: rules, batches, errors, and a search by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_zerocost.batch import noise, of_task
from nasplug_zerocost.cost import ZeroCost
from nasplug_zerocost.proxies import PROXIES
from torch import nn

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError, UnknownNameError
from nasplug.contract.io import Inputs
from nasplug.cost.candidate import Candidate
from nasplug.testing import CostConformance


class TestAll(CostConformance):
    name = "zerocost"
    nonnegative = False

    def make_cost(self):
        return ZeroCost(proxies=tuple(PROXIES), size=4)


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10))


def priced(cost, net=None, task=None):
    found = net or network()
    return cost.cost(Candidate(lambda: found, (1, 8, 8), task=task), None)


def test_the_default_answers_two():
    torch.manual_seed(0)
    assert list(priced(ZeroCost())) == ["zerocost/naswot", "zerocost/synflow"]


def test_the_batch_is_the_same_for_every_network_and_follows_its_seed():
    inputs = Inputs.of((1, 8, 8))
    assert torch.equal(noise(inputs, 4, 1).args[0], noise(inputs, 4, 1).args[0])
    assert not torch.equal(noise(inputs, 4, 1).args[0], noise(inputs, 4, 2).args[0])
    net = network()
    values = [priced(ZeroCost(proxies=("snip",), seed=seed), net)["zerocost/snip"] for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_images_of_the_task_are_read_once(monkeypatch):
    task = nas.ImageClassification(limit=100)
    reads = []
    whole = type(task).datamodule
    monkeypatch.setattr(type(task), "datamodule", lambda self: reads.append(1) or whole(self))
    cost, net = ZeroCost(proxies=("naswot", "snip"), source="task", size=40), network()
    first = priced(cost, net, task)
    assert priced(cost, net, task) == first
    assert len(reads) == 1
    assert priced(ZeroCost(proxies=("naswot", "snip"), size=40), net) != first
    batch = of_task(task, 40, 0)
    assert batch.size == len(batch.targets) == 40
    assert set(batch.targets.tolist()) <= set(range(10))


def test_a_task_is_needed_for_its_images():
    with pytest.raises(SpecError, match="no task to take images from"):
        priced(ZeroCost(source="task"))


class Triples:
    def datamodule(self):
        class Data:
            def prepare_data(self): ...

            def setup(self, stage): ...

            def train_dataloader(self):
                return [{"image": torch.zeros(2, 1)}]

        return Data()


def test_batches_of_another_form_are_refused():
    with pytest.raises(SpecError, match=r"(?s)not pairs.*dict.*noise"):
        of_task(Triples(), 4, 0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"proxies": ["nawsot"]}, UnknownNameError),
        ({"proxies": []}, SpecError),
        ({"source": "data"}, SpecError),
        ({"size": 1}, SpecError),
    ],
)
def test_impossible_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        ZeroCost(**arguments)


def test_what_is_not_finite_is_refused_by_name():
    net = network()
    net[1].weight.data.fill_(float("inf"))
    with pytest.raises(NasplugError, match="snip of the network is nan"):
        priced(ZeroCost(proxies=("snip",)), net)


def test_dropout_draws_nothing():
    net = network()
    assert len({priced(ZeroCost(proxies=("grad_norm",)), net)["zerocost/grad_norm"] for _ in range(3)}) == 1


def test_a_search_by_a_proxy():
    study = nas.search(
        nas.ImageClassification(limit=60),
        space=nas.component("qnas.conv", nodes=3, width=0.1),
        objectives={"zerocost/naswot": "max", "val_acc": "max"},
        costs=[nas.component("zerocost", proxies=["naswot"], size=8)],
        trials=2,
        epochs=1,
        progress=False,
    )
    values = [trial.costs["zerocost/naswot"] for trial in study.trials]
    assert np.isfinite(values).all()
