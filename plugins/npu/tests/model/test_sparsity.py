"""Clocks of one layer in all modes of skipping zeros, worked out by hand."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from nasplug_npu import NPU, preset
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.model.sparsity import banked_share, slowest_share

from nasplug.workloads.builder import INPUT, WorkloadBuilder

#: 16 channels by four, 8 filters by two, 1024 positions by four.
DENSE = 4 * 4 * 256


def share(density, lanes, sync=64):
    return density + sqrt(density * (1 - density) / sync) * NormalDist().inv_cdf((lanes - 0.375) / (lanes + 0.25))


def banked(density, lanes, groups, sync=64):
    """Of the busiest group of banks, which a read meets with the same chance as any other."""
    load = density / groups
    quantile = NormalDist().inv_cdf((groups - 0.375) / (groups + 0.25))
    return lanes * load + sqrt(lanes * load * (1 - load) / sync) * quantile


#: Ports of eight elements for each product: no bank is ever busy.
WIDE = {"weight_port_bits": 32 * 64, "input_port_bits": 32 * 64}


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
def test_clocks_of_lanes_that_wait_for_each_other_only(mode, window, density, lanes):
    assert clocks(sparsity=mode, window=window, **WIDE) == ceil(DENSE * share(density, lanes))


@pytest.mark.parametrize(
    ("mode", "density", "lanes", "groups"),
    [
        ("weight_skip", 0.5, 4 * 2, 32 // 4),  # every lane reads four positions side by side
        ("act_skip", 0.25, 4 * 4, 32 // 2),  # every lane reads the weights of two filters
        ("dual_skip", 0.125, 32, 32),
    ],
)
def test_clocks_of_lanes_that_meet_in_banks(mode, density, lanes, groups):
    """Ports of one element for each product, so that lanes keep all banks busy and some of them too busy."""
    wanted = max(share(density, lanes), banked(density, lanes, groups))
    if mode == "act_skip":  # maps are stored with their zeros: 16 elements of the port's 32 for each step
        wanted = max(wanted, 16 / 32)
    assert clocks(sparsity=mode, window=16) == ceil(DENSE * wanted)


def test_a_narrow_port_limits_what_skipping_gains():
    """Of four elements a clock, 32 products with inputs of their own take eight; dense ones share 16 in four."""
    assert clocks(sparsity="weight_skip", input_port_bits=32) == DENSE * 4  # half of eight, and waiting: not better
    assert clocks(sparsity="none", input_port_bits=32) == DENSE * 4


def test_a_single_lane_reads_side_by_side():
    """A weight for 32 positions: whatever is skipped, the positions keep their distance."""
    network = WorkloadBuilder((16, 32, 32))
    network.conv(INPUT, 8, 1, weight_density=0.5)
    found = NPU(preset("wu32").replace(shapes="fixed:1x1x32")).totals(network.build())
    assert found["compute_cycles"] == 16 * 8 * 32 / 2


@pytest.mark.parametrize(("density", "lanes", "groups"), [(0.5, 32, 32), (0.25, 8, 8), (0.5, 16, 4), (0.75, 2, 2)])
def test_banks_are_as_busy_as_random_reads_make_them(density, lanes, groups):
    rng = np.random.default_rng(0)
    reads = rng.binomial(lanes * 64, density, 4000)
    busiest = [rng.multinomial(count, np.ones(groups) / groups).max() for count in reads]
    expected = float(banked_share(density, lanes, 1, groups, 64))
    assert expected == pytest.approx(np.mean(busiest) / 64, rel=0.02)


def test_operands_that_lanes_do_not_share_are_read_each():
    def reads(config):
        network = WorkloadBuilder((16, 32, 32))
        network.conv(INPUT, 8, 1, weight_density=0.5)
        rows = Rows(pack(network.build()))
        found = layers(rows, Points.of(config)).amounts
        return [found[name].item() for name in ("weight_read_bits", "input_read_bits")]

    base = preset("wu32").replace(shapes="fixed:4x2x4", **WIDE)
    products = 16 * 8 * 1024
    assert reads(base) == [products / 2 * 8 / 4, products / 2 * 8]  # a weight for four positions
    assert reads(base.replace(sparsity="none")) == [products * 8 / 4, products * 8 / 2]


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
