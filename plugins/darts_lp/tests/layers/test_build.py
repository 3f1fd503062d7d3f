"""Tests of `nasplug_darts_lp.layers.build`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.build import conv2d, linear
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from torch import nn


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_keep_the_size_at_stride_1(kernel, dilation, stride):
    layer = conv2d(4, 8, kernel, stride, dilation=dilation, groups=4)
    assert layer.bias is None
    assert layer(torch.zeros(1, 4, 9, 9)).shape == (1, 8, -(-9 // stride), -(-9 // stride))


@pytest.mark.parametrize("precision", [None, Precision(None, None), Precision(None, 4), Precision(4, None)])
def test_without_both_bits_layers_are_in_floating_point(precision):
    assert type(conv2d(2, 2, precision=precision)) is nn.Conv2d
    assert type(linear(2, 2, precision)) is nn.Linear


def test_bits_kinds_and_options_arrive():
    precision = Precision(2, 3, "lsq", "gaussian", {"levels": "signed"})
    for layer, kind in ((conv2d(2, 4, precision=precision), QuantConv2d), (linear(2, 4, precision), QuantLinear)):
        assert type(layer) is kind
        assert (layer.weight_bits, layer.input_bits) == (2, 3)
        assert type(layer.input_quantiser).__name__ == "LSQ"
        assert type(layer.weight_quantiser).__name__ == "Gaussian"
        assert layer.input_quantiser.levels == "signed"
        assert layer.input_quantiser.channels == 2
