"""Tests of `nasplug_darts_lp.layers.streams`: the graph of a network with sums of codes."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.quantise import calibrate, quantise, quantised_layers
from nasplug_darts_lp.layers.sums import IntegerSum, MapQuantiser
from torch import nn
from torch.nn import functional

from nasplug.contract.errors import SpecError, TaskError


class Block(nn.Module):
    def __init__(self, mean=None):
        super().__init__()
        self.conv, self.next = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.skip, self.mean = nn.Identity(), mean
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = functional.relu(x)
        y = self.conv(x)
        y += self.skip(x)
        y = torch.relu(y)
        y = torch.relu(self.next(y).add(y))
        return self.head(self.mean(y) if self.mean else y.mean((2, 3)))


def kinds(network, kind):
    return [name for name, module in network.named_modules() if isinstance(module, kind)]


def made(network=None, **settings):
    torch.manual_seed(0)
    return quantise(network or Block(), sums="integer", **settings)


def test_every_branch_is_coded_once_and_all_readers_read_the_codes():
    network = made()
    assert kinds(network, IntegerSum) == ["sum_0", "sum_1"]
    assert len(kinds(network, MapQuantiser)) == 5
    (coded,) = next(node for node in network.graph.nodes if node.name == "relu").users
    assert {str(user.target) for user in coded.users} == {"conv", "skip", "sum_0"}
    assert network.get_submodule("sum_0").output.levels == "unsigned"


def test_names_weights_and_modes_stay():
    plain, network = quantise(Block()), made()
    assert list(quantised_layers(network)) == list(quantised_layers(plain))
    assert set(plain.state_dict()) < set(network.state_dict())
    assert network.training
    assert not made(Block().eval()).training
    assert type(network).__name__ == "Block"


@pytest.mark.parametrize(
    "mean",
    [
        lambda y: functional.adaptive_avg_pool2d(y, 1).flatten(1),
        lambda y: functional.avg_pool2d(y, 6).flatten(1),
        lambda y: torch.mean(y, (-1, -2)),
    ],
)
def test_means_become_exact_pools(mean):
    network = made(Block(mean))
    assert len(kinds(network, nn.AdaptiveAvgPool2d) + kinds(network, nn.AvgPool2d)) == 1
    network(torch.randn(2, 4, 6, 6))
    assert network.eval()(torch.randn(2, 4, 6, 6)).shape == (2, 2)


def test_it_trains_and_calibrates():
    network = made()
    calibrate(network, [torch.randn(8, 4, 6, 6)])
    assert all(bool(network.get_submodule(name).started) for name in kinds(network, MapQuantiser))
    inputs, wanted = torch.randn(8, 4, 6, 6), torch.randn(8, 2)
    optimiser, losses = torch.optim.Adam(network.parameters(), lr=0.02), []
    for _ in range(30):
        optimiser.zero_grad()
        loss = functional.mse_loss(network(inputs), wanted)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_network_without_sums_is_left_as_it_is():
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1))
    assert type(quantise(layers, sums="integer")) is nn.Sequential


def test_mistakes_are_named():
    class Drops(Block):
        def forward(self, x):
            return functional.dropout(self.conv(x) + x, 0.5, self.training)

    class Branches(Block):
        def forward(self, x):
            return self.conv(x) + x if x.sum() > 0 else x

    with pytest.raises(TaskError, match="drops activations in a function"):
        made(Drops())
    with pytest.raises(TaskError, match="additions of Branches cannot be found"):
        made(Branches())
    with pytest.raises(SpecError, match="sums"):
        quantise(Block(), sums="whole")
