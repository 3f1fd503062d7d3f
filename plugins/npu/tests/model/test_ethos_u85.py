"""Clocks of layers on Ethos-U85: by hand on small layers, as the compiler estimates them on others."""

from __future__ import annotations

import csv
from collections import defaultdict
from math import prod
from pathlib import Path

import numpy as np
import pytest
from nasplug_npu import NPU, preset, preset_names
from nasplug_npu.model.ethos_blocks import Layer
from nasplug_npu.model.ethos_u85_blocks import SUM, choose
from nasplug_npu.model.ethos_u85_cores import CORES
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.networks import NETWORKS

from nasplug.workloads.builder import INPUT, WorkloadBuilder


def clocks(unit, network):
    found = layers(Rows(pack(network.build())), Points.of(preset(unit))).amounts
    return (found["compute_cycles"] + found["post_cycles"])[:, 0]


@pytest.mark.parametrize(
    ("macs", "channels", "make", "cycles"),
    [
        # Steps of 2 positions and 8 channels (128 multipliers) take 4 clocks for 8 channels and four kernel elements.
        # Memory answers after 8 clocks, and gives 32 bytes per clock; outputs take half a clock each. 16 channels: two
        # rounds, 8 pairs of positions.
        (128, 16, lambda n: n.conv(INPUT, 8, 1), (8 + 8) + 2 * 8 * 4 + 128 // 2 + (8 + 4)),
        # three steps for nine elements; 16 channels are read at once, so four times; a command takes a quarter of both
        (128, 64, lambda n: n.conv(INPUT, 8, 3), (8 + 8) + 4 * 2 * 3 * 32 + (4 * 2 * 3 * 32 + 64) // 4 + (8 + 4)),
        # one position and 16 channels at once; their weights come at 8 per clock, 64 clocks for 4 elements
        (128, 32, lambda n: n.conv(INPUT, 32, 3, groups=32), (8 + 16) + 3 * 2 * 64 + 512 // 2 + (8 + 16)),
        (128, 64, lambda n: n.pool("maxpool", INPUT, 2), (8 + 32) + 4 * 4 * 4 * 4 + 256 // 2 + (8 + 16)),
        # two of four weights of a single channel are zero in any case; bursts of 16 bytes have one pixel each
        (128, 1, lambda n: n.conv(INPUT, 8, 3), (8 + 2) + 3 * 32 // 2 + 128 // 2 + (8 + 4)),
        (128, 8, lambda n: n.add([INPUT, INPUT]), 4 * 4 * 16 // 2),  # in bricks of 16 channels, on its own
        (128, 8, lambda n: n.concat([INPUT, INPUT]), 0),
        # 4 positions of a row and 8 channels at once, whose weights are slower than four rows of them
        (256, 64, lambda n: n.conv(INPUT, 32, 3), (8 + 8) + 3072 + (3072 + 512 // 4) // 4 + (8 + 16)),
    ],
)
def test_clocks(macs, channels, make, cycles):
    network = WorkloadBuilder((channels, 4, 4))
    make(network)
    assert clocks(f"ethos_u85_{macs}_sram_only", network)[-1] == cycles


def test_fully_connected_layers_by_hand():
    network = WorkloadBuilder((64, 1, 1))
    network.fc(INPUT, 8)
    # 64 channels at once; 8 clocks of products are fewer than 32 for the weights, and two are lost; a command takes
    # (34 + 4) / 4; maps come in bursts of 32 bytes
    assert clocks("ethos_u85_128_sram_only", network)[0] == (8 + 4) + 34 + 9 + 8


def test_additions_are_done_before_outputs_are_stored():
    network = WorkloadBuilder((16, 4, 4))
    first = network.conv(INPUT, 8, 1)
    network.add([network.conv(first, 8, 1), first])
    alone = WorkloadBuilder((16, 4, 4))
    alone.conv(INPUT, 8, 1)
    before, with_add, add = clocks("ethos_u85_128_sram_only", network)
    assert before == clocks("ethos_u85_128_sram_only", alone)[0]
    # eight channels: one round of 32 clocks, and twice half a clock for every output; a command takes a quarter of both
    assert with_add == (8 + 4) + (32 + 128) // 4 + 128 + (8 + 4)
    assert add == 0
    table = NPU("ethos_u85_128_sram_only").evaluate(network.build())
    assert table.layers["cycles"][2] == 0
    older = NPU("ethos_u55_128_sram_only").evaluate(network.build())
    assert older.layers["cycles"][2] > 0


def test_additions_of_maps_that_others_read_take_time_of_their_own():
    network = WorkloadBuilder((16, 4, 4))
    first, second = network.conv(INPUT, 8, 1), network.conv(INPUT, 8, 1)
    network.concat([network.add([first, second]), first, second])
    assert clocks("ethos_u85_128_sram_only", network)[2] == 4 * 4 * 16 // 2


def test_no_more_than_two_additions_in_a_row_are_taken_along():
    network = WorkloadBuilder((16, 4, 4))
    at = network.conv(INPUT, 16, 1)
    for _ in range(3):
        at = network.add([at, INPUT])
    assert [float(one) for one in clocks("ethos_u85_128_sram_only", network)[1:]] == [0, 0, 128]


def probes():
    """Layers of networks that the model was not made with, as the compiler's 5.2.0 estimates them."""
    with (Path(__file__).parent / "vela_u85.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sizes(row):
    return {name: int(value) for name, value in row.items() if name not in ("unit", "operation", "clocks")}


def test_layers_of_networks_that_the_model_was_not_made_with():
    off = defaultdict(list)
    for row in probes():
        size = sizes(row)
        network = WorkloadBuilder((size["ci"], size["hi"], size["wi"]))
        network.row(row["operation"], [INPUT], **size)
        off[row["unit"]].append(abs(clocks(row["unit"], network)[0] / float(row["clocks"]) - 1))
    assert len(off) == 5
    for unit, errors in off.items():
        assert len(errors) >= 20
        assert np.median(errors) < 0.005, unit
        assert np.mean(errors) < 0.03, unit


@pytest.mark.parametrize("macs", sorted(CORES))
def test_blocks_fit_the_memories_in_the_unit(macs):
    core, seen = CORES[macs], 0
    for row in probes():
        size = sizes(row)
        if row["operation"] != "conv":
            continue
        shape = (size["hi"], size["wi"], size["ci"]), (size["ho"], size["wo"], size["co"])
        kernel = (size["kh"], size["kw"]), (size["sh"], size["sw"]), (size["dh"], size["dw"])
        kind = "depthwise" if size["groups"] > 1 else "dense"
        block, unit = choose(Layer(kind, *shape, *kernel), macs)
        twice = 2 if kind == "dense" else 1
        assert twice * prod(block.outputs) * SUM <= core.sums
        if kind == "dense":
            assert 2 * prod(block.inputs[:2]) * min(block.inputs[2], size["ci"]) <= core.inputs
        else:  # or the whole map
            assert min(prod(block.inputs), size["hi"] * size["wi"] * size["ci"]) <= core.inputs
        assert all(side % step == 0 for side, step in zip(block.outputs, unit, strict=True))
        seen += 1
    assert seen > 50


@pytest.mark.parametrize(
    ("unit", "clocks", "off"),
    [
        # cycles_total of ethos-u-vela 5.2.0 for this ResNet-8, everything in SRAM
        ("ethos_u85_128_sram_only", 152_800, 0.02),
        ("ethos_u85_256_sram_only", 83_631, 0.02),
        ("ethos_u85_2048_sram_only", 18_858, 0.06),
    ],
)
def test_whole_networks(unit, clocks, off):
    assert NPU(unit).totals(NETWORKS["resnet8"]())["cycles"] == pytest.approx(clocks, rel=off)


def test_larger_units_are_faster_on_every_system():
    systems = [name.removeprefix("ethos_u85_128_") for name in preset_names() if name.startswith("ethos_u85_128_")]
    assert len(systems) == 6
    for system in systems:
        found = [NPU(f"ethos_u85_{macs}_{system}").totals(NETWORKS["resnet20"]())["cycles"] for macs in sorted(CORES)]
        assert found == sorted(found, reverse=True), system
