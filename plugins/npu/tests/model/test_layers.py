"""Clocks of the post-process unit and of whole layers, counted by hand."""

from __future__ import annotations

import pytest
from nasplug_npu import preset
from nasplug_npu.model.layers import BOUNDS, layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack

from nasplug.workloads.builder import INPUT, WorkloadBuilder

#: Every layer is one tile of whole bursts; four elements per clock in the post-process unit.
BASE = preset("wu32_dense").replace(
    shapes="fixed:4x1x8",
    double=False,
    weight_kb=64,
    input_kb=64,
    output_kb=64,
    weight_bytes_per_cycle=128,
    act_bytes_per_cycle=32,
    act_latency=10,
    weight_latency=20,
    tile_cycles=5,
    layer_cycles=100,
    pipeline_depth=3,
    ppu_per_cycle=4,
)


def model(make, **changes):
    network = WorkloadBuilder((8, 8, 8))
    make(network)
    return layers(Rows(pack(network.build())), Points.of(BASE.replace(**changes)))


@pytest.mark.parametrize(
    ("make", "post"),
    [
        (lambda n: n.pool("maxpool", INPUT, 2), 8 * 16 * 4 / 4),  # every tap is an element
        (lambda n: n.pool("avgpool", INPUT, 4), 8 * 4 * 16 / 4),
        (lambda n: n.add([INPUT, INPUT]), 512 / 4),
        (lambda n: n.concat([INPUT, INPUT]), 0),
        (lambda n: n.conv(INPUT, 16, 1), 1024 / 4),
    ],
)
def test_clocks_of_the_post_process_unit(make, post):
    assert model(make).amounts["post_cycles"][0, 0] == post


@pytest.mark.parametrize("fused", [True, False])
def test_clocks_of_a_whole_layer(fused):
    """One tile: 2 blocks of channels, 16 filters, 8 groups of positions; 512 bytes in, 1024 out."""
    found = model(lambda n: n.conv(INPUT, 16, 1, bias=False), ppu_fused=fused)
    computing, post = 2 * 16 * 8, 1024 / 4
    assert found.amounts["compute_cycles"][0, 0] == computing
    busy = max(computing, post) if fused else computing + post
    transfers = max(1, 512 / 32) + 1024 / 32  # weights and inputs have memories of their own
    assert found.amounts["cycles"][0, 0] == 100 + 5 + 20 + 3 + busy + transfers
    # The first of equal ones, unless they take less than half of the time.
    assert BOUNDS[found.bound[0, 0]] == ("array" if fused else "control")


def test_a_layer_waits_for_control_beyond_twice_everything_else():
    conv = lambda n: n.conv(INPUT, 16, 1, bias=False)  # noqa: E731
    cycles = model(conv, layer_cycles=0).amounts["cycles"][0, 0]
    exactly = int(512 - cycles)  # the array needs 256 clocks
    assert BOUNDS[model(conv, layer_cycles=exactly).bound[0, 0]] == "array"
    assert BOUNDS[model(conv, layer_cycles=exactly + 1).bound[0, 0]] == "control"
