"""Operators of torch as rows."""

from __future__ import annotations

from torch import nn

from nasplug.workloads.extract import extract


def test_statistics_of_the_input_cost_a_row_of_their_own():
    def kinds(norm):
        return extract(nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.ReLU()).eval(), (2, 8, 8)).operations

    assert kinds(nn.BatchNorm2d(4)) == ("conv",)
    assert kinds(nn.InstanceNorm2d(4)) == kinds(nn.InstanceNorm2d(4, affine=True)) == ("conv", "norm")
    assert kinds(nn.GroupNorm(2, 4)) == ("conv", "norm")
    assert kinds(nn.InstanceNorm2d(4, track_running_stats=True)) == ("conv",)
