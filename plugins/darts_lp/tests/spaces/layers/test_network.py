"""Tests of `nasplug_darts_lp.spaces.layers.network`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.quantised import QuantConv2d
from nasplug_darts_lp.spaces.layers.layouts import layout
from nasplug_darts_lp.spaces.layers.network import LayersNetwork, make_stem
from nasplug_darts_lp.spaces.layers.settings import LayerSettings
from torch import nn

from nasplug.contract.errors import SpecError

SMALL = LayerSettings(layout("cifar", 0.25, 1), weight_bits=(1, 4), activation_bits=(2, 8))
GENOTYPE = ("skip", 3, 1, 2, "conv", 5, 4, 8, "conv", 3, 1, 2)


def test_a_network_is_made_of_settings_and_genotype_alone():
    network = LayersNetwork(SMALL, GENOTYPE, (3, 8, 8), 5)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    assert isinstance(network.blocks[0], nn.Identity)
    conv = network.blocks[1].branch.conv
    assert isinstance(conv, QuantConv2d)
    assert (conv.kernel_size, conv.stride, conv.weight_bits, conv.input_bits) == ((5, 5), (2, 2), 4, 8)
    assert network.stem[0].conv.weight_bits == network.classifier.weight_bits == 8


@pytest.mark.parametrize(("name", "size"), [("cifar", 32), ("tiny_imagenet", 32), ("imagenet", 8)])
def test_stems_of_the_layouts(name, size):
    settings = LayerSettings(layout(name, 0.125), weight_bits=(), activation_bits=())
    assert make_stem(settings, (3, 32, 32))(torch.randn(2, 3, 32, 32)).shape[2:] == (size, size)
    with pytest.raises(SpecError, match="expected an image"):
        make_stem(settings, (32, 32))
