"""Clocks of one layer in all modes of skipping zeros, worked out by hand."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

import pytest
from nasplug_npu import NPU, preset
from nasplug_npu.model.sparsity import slowest_share

from nasplug.workloads.builder import INPUT, WorkloadBuilder

#: 16 channels by four, 8 filters by two, 1024 positions by four.
DENSE = 4 * 4 * 256


def share(density, lanes, sync=64):
    return density + sqrt(density * (1 - density) / sync) * NormalDist().inv_cdf((lanes - 0.375) / (lanes + 0.25))


@pytest.mark.parametrize(
    ("mode", "window", "density", "lanes"),
    [
        ("weight_skip", 16, 0.5, 4 * 2),  # a weight serves all positions at once
        ("act_skip", 16, 0.25, 4 * 4),  # an activation serves all filters
        ("dual_skip", 16, 0.5 * 0.25, 4 * 2 * 4),
        ("dual_skip", 8, 0.125, 4 * 2 * 4),  # the window is just wide enough
        ("dual_skip", 4, 0.25, 4 * 2 * 4),  # at least one product in four takes a clock
        ("weight_skip", 1, 1.0, 4 * 2),
    ],
)
def test_clocks_of_a_sparse_layer(mode, window, density, lanes):
    assert clocks(sparsity=mode, window=window) == ceil(DENSE * share(density, lanes))


@pytest.mark.parametrize("mode", ["none", "gate"])
def test_zeros_that_are_not_skipped_take_their_time(mode):
    assert clocks(sparsity=mode) == DENSE


@pytest.mark.parametrize(("encoding", "wanted"), [("nm2:4", DENSE / 2), ("nm3:4", 3 * DENSE / 4), ("nm1:4", DENSE)])
def test_structured_weights_are_a_matter_of_counting(encoding, wanted):
    assert clocks(sparsity="weight_skip", encoding=encoding) == wanted


def test_one_lane_waits_for_nobody_and_none_is_faster_than_its_products():
    assert slowest_share(0.25, 1, 64) == pytest.approx(0.25)
    assert slowest_share(0.5, 10**6, 1) == 1


def clocks(**changes):
    network = WorkloadBuilder((16, 32, 32))
    network.conv(INPUT, 8, 1, weight_density=0.5, input_density=0.25)
    config = preset("wu32").replace(shapes="fixed:4x2x4", **changes)
    return NPU(config).totals(network.build())["compute_cycles"]
