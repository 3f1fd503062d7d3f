"""Tests of `nasplug_darts_lp.spaces.blocks`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.build import conv2d
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.quantised import QuantConv2d
from nasplug_darts_lp.spaces.blocks import ConvNorm, ResidualConv, Stem, shortcut
from torch import nn

FLOAT = Precision(None, None)


def test_a_shortcut_is_the_identity_where_the_shape_stays():
    assert isinstance(shortcut(8, 8, 1, FLOAT), nn.Identity)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 8, 1), (4, 8, 2), (8, 8, 2)])
def test_other_shortcuts_are_a_mean_and_a_convolution_in_high_precision(inputs, outputs, stride):
    around = shortcut(inputs, outputs, stride, Precision(8, 8))
    assert around(torch.randn(2, inputs, 7, 7)).shape == (2, outputs, -(-7 // stride), -(-7 // stride))
    (conv,) = [module for module in around.modules() if isinstance(module, nn.Conv2d)]
    assert isinstance(conv, QuantConv2d)
    assert (conv.weight_bits, conv.kernel_size, conv.stride) == (8, (1, 1), (1, 1))
    assert any(isinstance(module, nn.AvgPool2d) for module in around.modules()) is (stride == 2)


def test_a_block_adds_the_shortcut_to_the_branch():
    block = ResidualConv(nn.Identity(), nn.Identity(), 3)
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(block(x), torch.where(x > 0, 2 * x, 0.25 * 2 * x))


def test_a_stem_pools_if_asked():
    images = torch.randn(2, 3, 16, 16)
    assert Stem(conv2d(3, 4, 7, 2), pool=True)(images).shape == (2, 4, 4, 4)
    assert Stem(conv2d(3, 4), pool=False)(images).shape == (2, 4, 16, 16)
    assert isinstance(Stem(conv2d(3, 4), pool=False)[0], ConvNorm)
