"""Layers read off networks, and the work of training them."""

from __future__ import annotations

import pytest
import torch
from nasplug_cgap.learners.flops import FlopMeter
from nasplug_cgap.learners.layers import layers_of
from nasplug_cgap.networks import ResNet
from torch import nn

from nasplug.contract.errors import TrialError
from nasplug.cost.counts import count_macs


class Odd(nn.Module):
    """Layers defined in another order than they run, and one used twice."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.first = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, x):
        x = self.norm(self.first(x))
        x = self.twice(torch.relu(self.twice(x)))
        return self.head(x.mean((2, 3)))


def test_order_work_and_normalisation():
    found = layers_of(Odd(), (2, 5, 5))
    assert [(layer.name, layer.macs, layer.units, layer.norm) for layer in found.layers] == [
        ("first", 2 * 4 * 9 * 25, 4, "norm"),
        ("twice", 2 * 16 * 25, 4, None),
        ("head", 12, 3, None),
    ]
    assert found.head == "head"
    assert found.macs == sum(layer.macs for layer in found.layers)


def test_residual_networks():
    network = ResNet(3, 10, blocks=1, width=4)
    found = layers_of(network, (3, 16, 16))
    assert found.head == "head"
    assert found.macs == count_macs(network, (3, 16, 16)) == sum(layer.macs for layer in found.layers)
    assert {layer.name: layer.norm for layer in found.body if "shortcut" in layer.name} == {
        "blocks.1.shortcut.0": "blocks.1.shortcut.1",
        "blocks.2.shortcut.0": "blocks.2.shortcut.1",
    }
    assert all(layer.norm for layer in found.body)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(2, 3, 5), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(50, 4), nn.ReLU()),
    ],
)
def test_networks_without_a_linear_head(network):
    found = layers_of(network, (2, 5, 5))
    assert found.head is None
    with pytest.raises(TrialError, match="does not end with a linear layer"):
        found.need_head("cgap.pst")


def test_work_by_hand():
    """Two layers of 100 and 10 products: the inputs of the first need no gradient."""
    found = layers_of(nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 1)), (10,))
    meter = FlopMeter(found)
    assert meter.step() == 110 + (100) + (10 + 10)
    assert meter.step({"0": 0.25}) == 110 + 25 + (10 + 10)
    assert meter.step({"0": 0.0}) == 110 + 10
    assert meter.step({"0": 0.0, "1": 0.0}) == 110
    meter.train(3, {"0": 0.0})
    meter.forward(2)
    assert meter.total == 2 * (3 * 120 + 2 * 110)


def test_products_outside_of_layers_need_both_gradients():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head((x @ x.transpose(1, 2) @ x).mean(1))

    found = layers_of(Attends(), (5, 4))
    assert found.macs == 5 * 5 * 4 * 2 + 8
    assert FlopMeter(found).step() == found.macs + 2 * 200 + 8
