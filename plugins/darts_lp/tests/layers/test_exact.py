"""Tests of `nasplug_darts_lp.layers.exact`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.layers.exact import ExactBatchNorm2d
from torch import nn


def test_exact_normalisation_is_normalisation():
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(4)
    plain.weight.data.uniform_(-1, 1)
    plain(torch.randn(8, 4, 3, 3))
    exact = ExactBatchNorm2d.of(plain)
    values = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(exact.eval()(values), plain.eval()(values))
    assert torch.equal(exact.train()(values), plain.train()(values))
