"""Spatial mapping, loop order inside the buffers, and pixels that no window covers: by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_npu import NPU, Batch, area, preset
from nasplug_npu.bounds import lower_bounds
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.networks import NETWORKS

from nasplug.contract.errors import SpecError
from nasplug.workloads.builder import INPUT, WorkloadBuilder

#: Everything fits, so that a layer is one tile.
BASE = preset("wu32_dense").replace(
    shapes="fixed:4x2x4", double=False, objective="traffic", weight_kb=64, input_kb=64, output_kb=64
)
PRODUCTS, OUTPUTS = 16 * 8 * 1024, 8 * 1024


def amounts(config, make=lambda n: n.conv(INPUT, 8, 1), shape=(16, 32, 32)):
    network = WorkloadBuilder(shape)
    make(network)
    found = layers(Rows(pack(network.build())), Points.of(config)).amounts
    return [np.ravel(found[name]).item() / 8 for name in ("weight_read_bits", "input_read_bits", "sum_bits")]


@pytest.mark.parametrize(
    ("inner", "weights", "inputs", "sums"),
    [
        # A weight serves four positions at once, an input two output channels.
        ("sum", PRODUCTS / 4, PRODUCTS / 2, 0),
        # Every weight is read once; sums of four rounds of four channels pass the output buffer three times.
        ("positions", 16 * 8, PRODUCTS / 2, 3 * 2 * 4 * OUTPUTS),
        # Every input is read once for its eight output channels.
        ("channels", PRODUCTS / 4, 16 * 1024, 3 * 2 * 4 * OUTPUTS),
    ],
)
def test_what_stays_in_registers_is_read_once(inner, weights, inputs, sums):
    assert amounts(BASE.replace(inner=inner)) == [weights, inputs, sums]


def test_a_weight_is_read_again_for_every_band():
    """Half of the outputs fit: two bands."""
    assert amounts(BASE.replace(inner="positions", output_kb=4))[0] == 2 * 16 * 8


def test_inputs_of_a_depthwise_layer_serve_one_channel():
    def depthwise(network):
        network.conv(INPUT, 16, 3, groups=16)

    products = 16 * 9 * 1024
    weights, inputs, sums = amounts(BASE.replace(inner="channels"), depthwise)
    assert (weights, inputs) == (products / 4, products)
    assert sums == 8 * 2 * 4 * 16 * 1024  # nine taps, one after the other
    assert amounts(BASE.replace(inner="positions"), depthwise)[0] == 16 * 9


def test_the_loop_order_decides_energy_and_not_clocks():
    found = {}
    for inner in ("sum", "positions", "channels"):
        network = WorkloadBuilder((16, 32, 32))
        network.conv(INPUT, 8, 3)
        found[inner] = NPU(BASE.replace(inner=inner)).totals(network.build())
    assert len({costs["cycles"] for costs in found.values()}) == 1
    assert len({costs["energy_buffer_j"] for costs in found.values()}) == 3


def test_systolic_arrays_have_their_own_order():
    with pytest.raises(SpecError, match="loop order of its own"):
        preset("systolic_8x8_ws").replace(inner="positions")


@pytest.mark.parametrize(("lanes", "cycles"), [(True, 9 * 2 * 1024), (False, 9 * 32 * 1024)])
def test_channels_of_a_depthwise_layer_take_lanes_or_come_one_by_one(lanes, cycles):
    """16 x 16 lanes for input and output channels; 32 channels of 3x3 kernels on 32 x 32 positions."""
    network = WorkloadBuilder((32, 32, 32))
    network.conv(INPUT, 32, 3, groups=32)
    config = preset("zigzag_kc_16x16").replace(groups_on_lanes=lanes)
    assert NPU(config).totals(network.build())["compute_cycles"] == cycles


@pytest.mark.parametrize(
    ("make", "pixels"),
    [
        (lambda n: n.conv(INPUT, 8, 1, 2, padding=0), 16 * 16),
        (lambda n: n.conv(INPUT, 8, 1, 4, padding=0), 8 * 8),
        (lambda n: n.conv(INPUT, 8, 2, 3, padding=0), 22 * 22),  # 11 windows of two
        (lambda n: n.conv(INPUT, 8, (1, 3), (2, 1), padding=(0, 1)), 16 * 32),  # only rows are left out
        (lambda n: n.conv(INPUT, 8, 3, 2, padding=1), 32 * 32),
        (lambda n: n.conv(INPUT, 8, 3, 3, padding=1), 32 * 32),
        (lambda n: n.pool("maxpool", INPUT, 1, 2), 16 * 16),
    ],
)
def test_pixels_that_no_window_covers_are_not_read(make, pixels):
    network = WorkloadBuilder((16, 32, 32))
    make(network)
    found = layers(Rows(pack(network.build())), Points.of(BASE)).tiling
    assert found.input_bits.item() == 16 * pixels * 8


def test_the_input_of_the_network_takes_its_whole_room():
    network = WorkloadBuilder((16, 32, 32))
    network.conv(INPUT, 8, 1, 2, padding=0)
    assert NPU(BASE).totals(network.build())["peak_sram_bytes"] == 16 * 1024 + 8 * 256


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 4),
    channels=st.sampled_from((4, 32)),
    inner=st.sampled_from(("sum", "positions", "channels")),
    lanes=st.booleans(),
    groups=st.sampled_from((1, 4)),
)
def test_bounds_hold_for_all_of_them(kernel, stride, channels, inner, lanes, groups):
    network = WorkloadBuilder((channels, 19, 19))
    row = network.conv(INPUT, channels, kernel, stride, padding=0, groups=channels if groups == 4 else 1)
    network.conv(row, 8, 1, stride, padding=0)
    config = preset("wu32").replace(inner=inner, groups_on_lanes=lanes, weight_kb=1, input_kb=1, output_kb=1)
    (latency,), (energy,) = lower_bounds(Batch.of([network.build()]), Points.of(config))
    found = NPU(config).totals(network.build())
    assert latency <= found["latency_s"]
    assert energy <= found["energy_j"]
    assert found["traffic_bytes"] >= sum(network.build().weights)


@pytest.mark.parametrize("kind", ["maxpool", "avgpool"])
def test_layers_without_products_read_their_inputs_once(kind):
    assert amounts(BASE, lambda network: network.pool(kind, INPUT, 2))[:2] == [0, 16 * 32 * 32]


def test_shapes_that_are_named_one_by_one():
    workload = NETWORKS["mobilenet_v1_0.25_96"]()
    names = ("8x4x1", "1x32x1", "4x2x4")
    alone = [NPU(f"wu32_dense,shapes=fixed:{name}").evaluate(workload).layers["compute_cycles"] for name in names]
    several = NPU("wu32_dense,shapes=of:" + "+".join(names)).evaluate(workload)
    np.testing.assert_array_equal(several.layers["compute_cycles"], np.min(alone, axis=0))
    assert {tuple(shape) for shape in several.layers["shape"].tolist()} <= {(8, 4, 1), (1, 32, 1), (4, 2, 4)}
    assert len({tuple(shape) for shape in several.layers["shape"].tolist()}) > 1
    one, two, four = (
        area(preset("wu32_dense").replace(shapes=shapes)).gates["reshaping"]
        for shapes in ("of:8x4x1", "of:8x4x1+1x32x1", "of:8x4x1+1x32x1+4x2x4+4x8x1")
    )
    assert (one, four) == (0, 2 * two)
    with pytest.raises(SpecError, match="multipliers"):
        preset("wu32_dense").replace(shapes="of:8x4x1+8x8x1")
    with pytest.raises(SpecError, match="of:8x4x1"):
        preset("wu32_dense").replace(shapes="of:8x4")
