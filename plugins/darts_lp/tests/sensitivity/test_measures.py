"""Tests of `nasplug_darts_lp.sensitivity.losses` and `.hessian`."""

from __future__ import annotations

import copy

import pytest
import pytorch_lightning as pl
import torch
from nasplug_darts_lp.example import small_network
from nasplug_darts_lp.layers.calibration import settle
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_darts_lp.sensitivity import hessian, losses
from torch import nn

import nasplug as nas

PAIRS = ((1, 8), (2, 8), (8, 8))


class Module(pl.LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, _):
        self.log("loss", 0.0)
        inputs, wanted = batch
        return (self.network(inputs) - wanted).square().mean()


def test_fewer_bits_hurt_more_and_the_network_is_left_as_it_was():
    network = quantise(small_network(), weight_bits=8, activation_bits=8)
    module = Module(network).eval()
    images = torch.rand(2, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        batches = [(part, small_network().eval()(part)) for part in images]
    settle(network, module, batches)
    before = copy.deepcopy(network.state_dict())

    def layer_at(name, pair):
        layers = {name: {"weight_bits": pair[0], "activation_bits": pair[1]}}
        return quantise(small_network(), weight_bits=8, activation_bits=8, layers=layers).get_submodule(name)

    told = []
    found = losses.harms(network, module, batches, dict.fromkeys(["first.0", "second.0"], PAIRS), layer_at, told.append)

    assert all(layer[-1] == 0.0 for layer in found)
    assert sum(layer[0] for layer in found) > sum(layer[1] for layer in found)
    assert told == [0.0, 0.5]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_curvature_is_that_of_a_square():
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 1, bias=False))
    nn.init.eye_(network[0].weight)
    nn.init.ones_(network[1].weight)
    module = Module(network).eval()
    batches = [(part, 0.0) for part in torch.randn(200, 64, 4, generator=torch.Generator().manual_seed(0))]
    error = 0.25

    class Shifted(nn.Module):
        def forward(self, values):
            return values + error

    def layer_at(name, pair):
        layer = quantise(copy.deepcopy(network), first_last_bits=pair[0]).get_submodule(name)
        layer.weight_quantiser, layer.input_quantiser = (Shifted(), None) if pair[0] == 1 else (None, None)
        return layer

    found = hessian.harms(network, module, batches, {"0": ((1, 8), (8, 8))}, layer_at, lambda share: None)

    # loss = mean (sum_ij w_ij x_j)^2: every second derivative along a weight is 2 E[x^2] = 2, and 16 weights move.
    assert found[0][0] == pytest.approx(0.5 * 2 * 16 * error**2, rel=0.15)
    assert found[0][1] == 0.0


def test_a_training_step_without_a_loss_is_named():
    class Mute(Module):
        def training_step(self, batch, _):
            return None

    with pytest.raises(nas.errors.TrialError, match="training_step of Mute returns no loss"):
        losses.mean_loss(Mute(small_network()), [(torch.rand(2, 1, 8, 8), 0.0)])
