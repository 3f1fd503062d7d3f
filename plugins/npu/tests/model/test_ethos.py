"""Clocks of layers on Ethos-U55 and U65: by hand on small layers, as the compiler prints them on others."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from nasplug_npu import NPU, preset, sweep
from nasplug_npu.model.ethos_blocks import CORES, Layer, choose
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.networks import NETWORKS

from nasplug.workloads.builder import INPUT, WorkloadBuilder


def clocks(unit, network):
    found = layers(Rows(pack(network.build())), Points.of(preset(unit))).amounts
    return (found["compute_cycles"] + found["post_cycles"])[0, 0]


@pytest.mark.parametrize(
    ("macs", "channels", "make", "cycles"),
    [
        # Steps of one position and 4 channels (32 multipliers): 16 of them take 64 clocks. Every layer is one block,
        # which is read (32 clocks until memory answers, then 8 bytes per clock), computed, put out at 2 clocks per
        # element, and written. Depth first: 9 taps, one group of 32 channels; four taps at once: 3 steps per 8.
        (32, 8, lambda n: n.conv(INPUT, 32, 3), (32 + 16) + 64 * 8 * 3 + 2 * 512 + (32 + 64)),
        # a command to the unit takes a quarter of both, which is longer than to put out a block
        (32, 32, lambda n: n.conv(INPUT, 32, 3), (32 + 64) + 64 * 8 * 9 + (64 * 8 * 9 + 2 * 512) // 4 + (32 + 64)),
        # four taps exactly, 9 positions; of the 24 channels, 16 are read at once, and the rest in a second round
        (32, 24, lambda n: n.conv(INPUT, 32, 2, padding=0), (32 + 32) + 36 * 8 * 2 * 2 + 2 * 288 + (32 + 36)),
        (32, 64, lambda n: n.conv(INPUT, 64, 1), (32 + 64) + 64 * 16 * 2 + 2 * 1024 + (32 + 128)),
        (32, 128, lambda n: n.conv(INPUT, 32, 1, groups=2), 2 * ((32 + 64) + 64 * 4 * 2 + 2 * 256 + (32 + 32))),
        (32, 64, lambda n: n.conv(INPUT, 64, 3, groups=64), (32 + 128) + 64 * 16 * 3 + 2 * 1024 + (32 + 128)),
        # an image: its pixels lie one after the other, and bursts of 32 bytes fetch 8 useful ones
        (32, 4, lambda n: n.conv(INPUT, 64, 1), (32 + 32) + 64 * 16 + 2 * 1024 + (32 + 128)),
        (
            32,
            128,
            lambda n: n.row("matmul", [INPUT, INPUT], n=4, ci=128, hi=16, wi=1, co=16, ho=16, wo=1),
            # 4 depths, 4 groups of 32 channels; columns of one position are bursts of 16 bytes
            4 * ((32 + 128) + 64 * 4 * 4 + 2 * 256 + (32 + 64)),
        ),
        (32, 8, lambda n: n.pool("maxpool", INPUT, 2), (32 + 16) + 4 * 4 * 2 + 32 + (32 + 4)),
        (32, 8, lambda n: n.pool("avgpool", INPUT, 4), (32 + 16) + 16 * 2 + 2 * 8 + (32 + 2)),
        (32, 8, lambda n: n.add([INPUT, INPUT]), 6 * 16 * 16),  # stored in bricks of 16 channels
        (32, 8, lambda n: n.concat([INPUT, INPUT]), 0),
        # 4 blocks of 2 x 2, 4 depths of 8; weights at 8 per clock are slower than 4 blocks
        (256, 64, lambda n: n.conv(INPUT, 32, 3), (32 + 64) + 2304 + (2304 + 512 // 4) // 4 + (32 + 64)),
        (128, 64, lambda n: n.pool("maxpool", INPUT, 2), (32 + 128) + 4 * 2 * 8 * 4 + (256 + 64) // 4 + (32 + 32)),
        (64, 64, lambda n: n.add([INPUT, INPUT]), 64 * 16 * 3),
    ],
)
def test_clocks(macs, channels, make, cycles):
    network = WorkloadBuilder((channels, 4, 4))
    make(network)
    assert clocks(f"ethos_u55_{macs}", network) == cycles


def probes():
    """Layers of networks that the model was not made with, as the compiler's 5.2.0 prices them."""
    with (Path(__file__).parent / "vela.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_layers_of_networks_that_the_model_was_not_made_with():
    off = defaultdict(list)
    for row in probes():
        size = {name: int(value) for name, value in row.items() if name not in ("unit", "operation", "clocks")}
        network = WorkloadBuilder((size["ci"], size["hi"], size["wi"]))
        network.row(row["operation"], [INPUT, INPUT] if row["operation"] == "add" else [INPUT], **size)
        off[row["unit"]].append(abs(clocks(row["unit"], network) / float(row["clocks"]) - 1))
    assert len(off) == 6
    for unit, errors in off.items():
        assert len(errors) >= 20
        assert np.median(errors) < 0.005, unit
        assert np.mean(errors) < 0.03, unit


@pytest.mark.parametrize("macs", sorted(CORES))
def test_blocks_fit_the_memory_in_the_unit(macs):
    core = CORES[macs]
    for row in probes():
        size = {name: int(value) for name, value in row.items() if name not in ("unit", "operation", "clocks")}
        if row["operation"] != "conv" or size["groups"] > 1:
            continue
        shape = (size["hi"], size["wi"], size["ci"]), (size["ho"], size["wo"], size["co"])
        kernel = (size["kh"], size["kw"]), (size["sh"], size["sw"]), (size["dh"], size["dw"])
        block = choose(Layer("dense", *shape, *kernel), core)
        height, width, depth = block.outputs
        sums = 2 * -(-height * width * depth * 4 // 1024)  # two halves, in banks of 1 KiB
        inputs = 2 * -(-int(np.prod(block.inputs)) // 1024)
        assert sums + inputs + 2 <= core.banks
        assert depth % core.ublock[2] == 0


def test_many_points_are_each_alone():
    network = WorkloadBuilder((16, 32, 32))
    network.conv(INPUT, 32, 3)
    workload, base = network.build(), preset("ethos_u55_64")
    every = [base.replace(macs=macs, act_latency=wait, act_bytes_per_cycle=4) for macs in (32, 256) for wait in (8, 64)]
    found = sweep(workload, Points.together(every))["latency_s"]
    np.testing.assert_array_equal(found, [NPU(config).totals(workload)["latency_s"] for config in every])


@pytest.mark.parametrize(
    ("unit", "clocks", "off"),
    [
        # cycles_total of ethos-u-vela 5.2.0 for this ResNet-8, on its systems Deep Embedded, High-End and Sram_Only
        ("ethos_u55_128", 268_600, 0.05),
        ("ethos_u55_128_high_end", 206_438, 0.05),
        ("ethos_u55_128_sram_only", 183_315, 0.05),
    ],
)
def test_whole_networks_do_not_wait_for_the_weights_of_a_first_tile(unit, clocks, off):
    assert NPU(unit).totals(NETWORKS["resnet8"]())["cycles"] == pytest.approx(clocks, rel=off)
