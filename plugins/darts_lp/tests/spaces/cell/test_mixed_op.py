"""Tests of `nasplug_darts_lp.spaces.cell.mixed_op`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.spaces.cell.mixed_op import MixedOp
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import SupernetSettings

from nasplug.spaces.cells import OPERATIONS

CANDIDATES = ("none", *OPERATIONS)
ONE = torch.ones(1)


def mixed(channels=4, stride=1, **form):
    torch.manual_seed(0)
    return MixedOp(CellSettings(), SupernetOptions(settings=SupernetSettings(**form)), CANDIDATES, channels, stride)


def one_hot(name):
    return torch.tensor([float(candidate == name) for candidate in CANDIDATES])


def run(module, weights, x):
    return module(x, [weights, ONE, ONE], [weights, ONE, ONE])


def test_none_adds_nothing():
    assert torch.count_nonzero(run(mixed().eval(), one_hot("none"), torch.randn(2, 4, 6, 6))) == 0


def test_a_skip_gives_its_input():
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(run(mixed().eval(), one_hot("skip_connect"), x), x)


@pytest.mark.parametrize("shared", [True, False])
def test_a_mixture_is_linear_in_its_weights_where_candidates_share_nothing(shared):
    module, x = mixed(shared=shared).eval(), torch.randn(2, 4, 6, 6)
    pool, skip = one_hot("max_pool_3x3"), one_hot("skip_connect")
    wanted = 0.3 * run(module, pool, x) + 0.7 * run(module, skip, x)
    assert torch.allclose(run(module, 0.3 * pool + 0.7 * skip, x), wanted, atol=1e-6)


def test_kernels_of_a_family_share_one_convolution():
    shared, separate = mixed(), mixed(shared=False)
    assert len(shared.branches) == 3 + 2  # pools and skip; separable, dilated
    assert len(separate.branches) == 7
    weights = [p for p in shared.parameters() if p.dim() == 4 and p.shape[-1] > 1]
    assert {tuple(p.shape[-2:]) for p in weights} == {(5, 5)}


@pytest.mark.parametrize("stride", [1, 2])
def test_partial_channels_leave_the_others_as_they_are(stride):
    module, x = mixed(channels=8, stride=stride, partial=4).eval(), torch.randn(2, 8, 6, 6)
    y = run(module, one_hot("none"), x)
    assert y.shape == (2, 8, 6 // stride, 6 // stride)
    # Shuffled: of every four channels, the first comes from the candidates.
    assert torch.count_nonzero(y[:, ::4]) == 0
    others = torch.nn.functional.max_pool2d(x, 2) if stride == 2 else x
    assert torch.equal(torch.cat([y[:, i::4] for i in (1, 2, 3)], dim=1), others[:, 2:])
