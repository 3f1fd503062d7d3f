"""Operators of torch as rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.workloads.extract import extract


def test_statistics_of_the_input_cost_a_row_of_their_own():
    def kinds(norm):
        return extract(nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.ReLU()).eval(), (2, 8, 8)).operations

    assert kinds(nn.BatchNorm2d(4)) == ("conv",)
    assert kinds(nn.InstanceNorm2d(4)) == kinds(nn.InstanceNorm2d(4, affine=True)) == ("conv", "norm")
    assert kinds(nn.GroupNorm(2, 4)) == ("conv", "norm")
    assert kinds(nn.InstanceNorm2d(4, track_running_stats=True)) == ("conv",)


def rows(network, *shapes):
    return extract(network.eval(), *shapes)


class Clamped(nn.Module):
    def __init__(self, low, high):
        super().__init__()
        self.layer, self.bounds = nn.Conv2d(2, 2, 1), (low, high)

    def forward(self, x):
        return torch.clamp(self.layer(x), *self.bounds)


@pytest.mark.parametrize(
    ("low", "high", "name"), [(0, None, "relu"), (0, 6, "relu6"), (0, 1, "clamp"), (None, 6, "clamp"), (1, 6, "clamp")]
)
def test_a_clamp_is_the_activation_that_its_bounds_make(low, high, name):
    assert rows(Clamped(low, high), (2, 4, 4)).post == (name,)


@pytest.mark.parametrize(
    ("kernel", "stride", "kinds"), [(2, 2, ("conv",)), (3, 2, ("conv", "add")), (2, 1, ("conv", "add"))]
)
def test_windows_of_a_transposed_convolution_are_added_where_they_overlap(kernel, stride, kinds):
    network = nn.Sequential(nn.ConvTranspose2d(3, 5, kernel, stride), nn.Conv2d(5, 1, 1))
    assert rows(network, (3, 4, 4)).operations == (*kinds, "conv")


class Distances(nn.Module):
    def forward(self, x):
        return torch.cdist(x, torch.ones(7, x.shape[-1]))


def test_distances_are_a_product_of_pairs():
    found = rows(nn.Sequential(nn.Linear(6, 4), Distances()), (5, 6))
    assert found.operations[0] == "fc"
    assert len(found.operations) == 2
    assert found.macs[1] == 5 * 7 * 4
