"""Clocks of layers on the smallest Ethos-U55, counted by hand: blocks of one position and four channels."""

from __future__ import annotations

import pytest
from nasplug_npu import preset
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack

from nasplug.workloads.builder import INPUT, WorkloadBuilder


@pytest.mark.parametrize(
    ("channels", "make", "cycles"),
    [
        # 16 blocks of 4 clocks are a step; 8 depths of 4 channels. Depth first: 9 taps, one group of 32 channels; four
        # taps at a time: 3 steps for each 8 channels.
        (8, lambda n: n.conv(INPUT, 32, 3), 64 * 8 * 3),
        (32, lambda n: n.conv(INPUT, 32, 3), 64 * 8 * 9),  # 12 steps of the other kind
        (24, lambda n: n.conv(INPUT, 32, 2, padding=0), 36 * 8 * 3),  # four taps exactly; 9 blocks
        (64, lambda n: n.conv(INPUT, 64, 1), 64 * 16 * 2),
        (128, lambda n: n.conv(INPUT, 32, 1, groups=2), 64 * 4 * 2 * 2),  # 64 channels to 16, twice
        (64, lambda n: n.conv(INPUT, 64, 3, groups=64), 64 * 16 * 3),
        (4, lambda n: n.conv(INPUT, 64, 1), 16 * 64 * 2),  # every output takes two clocks to be written
        (
            128,
            lambda n: n.row("matmul", [INPUT, INPUT], n=4, ci=128, hi=16, wi=1, co=16, ho=16, wo=1),
            64 * 4 * 4 * 4,  # 4 depths, 4 groups of 32 channels, 4 matrices
        ),
        (8, lambda n: n.pool("maxpool", INPUT, 2), 4 * 8 * 2),
        (8, lambda n: n.pool("avgpool", INPUT, 4), 16 * 1 * 2),
        (8, lambda n: n.add([INPUT, INPUT]), 6 * 128),
        (8, lambda n: n.concat([INPUT, INPUT]), 0),
    ],
)
def test_clocks(channels, make, cycles):
    network = WorkloadBuilder((channels, 4, 4))
    make(network)
    found = layers(Rows(pack(network.build())), Points.of(preset("ethos_u55_32"))).amounts
    assert (found["compute_cycles"] + found["post_cycles"])[0, 0] == cycles
