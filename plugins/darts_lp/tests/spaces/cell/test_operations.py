"""Tests of `nasplug_darts_lp.spaces.cell.operations`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.layers.quantised import QuantConv2d
from nasplug_darts_lp.spaces.cell.edges import Edge
from nasplug_darts_lp.spaces.cell.operations import factorized_reduce, make_stem, operation, prepare
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.spaces.cells import OPERATIONS

FLOAT = Precision(None, None)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 9])
def test_operations_keep_channels_and_divide_the_size(name, stride, size):
    module = operation(Edge(0, name), 4, stride, FLOAT)
    assert module(torch.randn(2, 4, size, size)).shape == (2, 4, -(-size // stride), -(-size // stride))


@pytest.mark.parametrize(("name", "count"), [("sep_conv_3x3", 4), ("dil_conv_5x5", 2)])
def test_convolutions_have_the_bits_of_their_edge(name, count):
    module = operation(Edge(0, name, 2, 3), 4, 1, Precision(8, 8, "fixed"))
    convs = [part for part in module.modules() if isinstance(part, QuantConv2d)]
    assert [(conv.weight_bits, conv.input_bits) for conv in convs] == [(2, 3)] * count
    assert all(type(conv.input_quantiser).__name__ == "Fixed" for conv in convs)


def test_a_skip_that_halves_has_the_fixed_bits():
    module = operation(Edge(0, "skip_connect"), 4, 2, Precision(8, 8))
    assert {conv.weight_bits for conv in module.modules() if isinstance(conv, QuantConv2d)} == {8}


@pytest.mark.parametrize("size", [6, 7])
def test_the_second_half_of_a_reduction_sees_the_moved_image(size):
    module = factorized_reduce(2, 5, FLOAT).eval()
    x = torch.randn(1, 2, size, size).relu()
    moved = F.pad(x, (0, 1, 0, 1))[:, :, 1::2, 1::2][:, :, : -(-size // 2), : -(-size // 2)]
    wanted = torch.cat([module.straight(x), F.conv2d(moved, module.moved.weight)], dim=1)
    assert module.straight.out_channels == 3
    assert torch.allclose(module(x), module.norm(wanted), atol=1e-6)


def test_a_reduction_to_one_channel_has_one_half():
    module = factorized_reduce(2, 1, FLOAT)
    assert module.moved is None
    assert module(torch.randn(2, 2, 4, 4)).shape == (2, 1, 2, 2)


@pytest.mark.parametrize("after_reduction", [False, True])
def test_both_inputs_of_a_cell_come_to_its_channels_and_size(after_reduction):
    first, second = prepare(6, 8, 4, after_reduction, FLOAT)
    size = 8 if after_reduction else 4
    assert first(torch.randn(2, 6, size, size)).shape == second(torch.randn(2, 8, 4, 4)).shape == (2, 4, 4, 4)


def test_the_stem_has_three_times_the_channels():
    stem = make_stem(CellSettings(channels=4), (3, 8, 8))
    assert stem(torch.randn(2, 3, 8, 8)).shape == (2, 12, 8, 8)
    assert type(stem.conv) is nn.Conv2d
    with pytest.raises(SpecError, match="expected an image"):
        make_stem(CellSettings(), (12,))
