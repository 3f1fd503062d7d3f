"""Tests of `nasplug_darts_lp.folding.modules`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.folding.modules import CodePool, Rescale, Rows
from torch import nn


def test_rescaling_is_one_product_and_one_sum_per_channel():
    sums = torch.tensor([[[2, -3]], [[4, 0]]], dtype=torch.int32)
    module = Rescale(torch.tensor([0.5]), torch.tensor([1.0]))
    assert module(sums).tolist() == [[[2.0, -0.5]], [[3.0, 1.0]]]
    assert Rescale(torch.tensor([0.5]), None)(sums).tolist() == [[[1.0, -1.5]], [[2.0, 0.0]]]


def test_rows_flatten_all_but_the_last_dimension():
    assert Rows()(torch.zeros(2, 3, 4, 5)).shape == (24, 5)


def test_the_maximum_of_codes_is_the_code_of_the_maximum():
    codes = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pooled = CodePool(nn.MaxPool2d(2))(codes)
    assert pooled.dtype == torch.uint8
    assert torch.equal(pooled, codes.view(2, 3, 2, 2, 2, 2).amax(dim=(3, 5)))
