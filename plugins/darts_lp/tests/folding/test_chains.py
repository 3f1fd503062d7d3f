"""Tests of `nasplug_darts_lp.folding.chains`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.folding import agreement, fold
from nasplug_darts_lp.folding.modules import Comparison, Requantise
from torch import nn


def test_falling_and_constant_channels_are_compared_the_other_way_round(images, parts, plain, ready):
    network = ready(plain(), activation_bits=2)
    network[1].weight.data.copy_(torch.tensor([-1.0, 1, 0, -2, 2, -0.5, 0.5, 0]))
    folded = fold(network, (3, 11, 11))
    pooled = parts(folded, Comparison)[1]
    assert pooled.integer
    assert pooled.signs.tolist() == [-1, 1, 1, -1, 1, -1, 1, 1]
    assert agreement(network, folded, images()).exact


def test_falling_channels_have_a_negative_slope(images, parts, plain, ready):
    network = ready(plain(), activation_bits=6)
    network[1].weight.data.copy_(torch.tensor([-1.0, 1, 0.5, -2, 2, -0.5, 0.5, 1]))
    folded = fold(network, (3, 11, 11))
    pooled = parts(folded, Comparison)[1]
    assert isinstance(pooled, Requantise)
    assert pooled.slope.sign().tolist() == [-1, 1, 1, -1, 1, -1, 1, 1]
    assert agreement(network, folded, images()).exact


def test_a_pool_in_front_of_a_falling_map_is_compared_as_values(images, parts, ready):
    layers = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
    network = ready(nn.Sequential(*layers))
    folded = fold(network, (3, 11, 11))
    assert [part.integer for part in parts(folded, Comparison)] == [False, False]
    assert agreement(network, folded, images()).exact
