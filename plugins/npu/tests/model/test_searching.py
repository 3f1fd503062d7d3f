"""Searched tiles: exactly the best of all that a loop over heights and widths finds, and never worse than closed."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_npu import NPU, preset, sweep
from nasplug_npu.model.pipeline import Loads, uneven_cycles
from nasplug_npu.model.tiling import TRAFFIC_SHARE
from nasplug_npu.networks import NETWORKS
from nasplug_npu.sweeping import grid

from nasplug.workloads.builder import INPUT, WorkloadBuilder

SETUP = 64 + 16  # the longer latency of the two memories, and the set-up of a tile


def every_tile(config, channels, filters, size, kernel, compute):
    """Least score, with its clocks, of a dense layer over all tiles of filters, rows and pieces of a sum."""
    padded = (kernel - 1) // 2
    high = size + 2 * padded - kernel + 1
    weights, inputs, outputs = channels * filters * kernel**2 * 8, channels * size * size * 8, filters * high * size * 8
    rooms = [kb * 8192 / 2 for kb in (config.weight_kb, config.input_kb, config.output_kb)]
    line, least = channels * size * 8, (np.inf, np.inf)
    again_w, again_i = weights > rooms[0], inputs > rooms[1]
    halo = (kernel - 1) * line * again_i
    for wide in range(1, filters + 1):
        for rows in range(1, high + 1):
            groups, bands = ceil(filters / wide), ceil(high / rows)
            if (wide, rows) != (ceil(filters / groups), ceil(high / bands)):
                continue  # as equal as can be: uneven ones would only ask for more pieces of the sum
            parts = weights / filters * wide, min(((rows - 1) + kernel) * line, inputs)
            whole = parts[0] <= rooms[0] and parts[1] <= rooms[1] and wide * rows * size * 8 <= rooms[2]
            cuts = [1] if whole else []
            pieces = max(ceil(parts[0] / rooms[0]), ceil(parts[1] / rooms[1]))
            if wide * rows * size * 32 <= rooms[2] and pieces <= ceil(channels / 4):
                cuts.append(max(pieces, 1))
            for chunks in cuts:
                for order in range(3):
                    w = again_w and (order != 0 or chunks > 1)
                    i = again_i and (order != 1 or chunks > 1)
                    read = (inputs + (bands - 1) * halo) * (groups if i else 1)
                    loads, tiles = weights * (bands if w else 1), groups * bands * chunks
                    # Weights of a group and rows of a band come at once, with the first tile that needs them.
                    w = w and bands > 1
                    of_weights, of_inputs = tiles if w else tiles / bands, tiles if i else tiles / groups
                    first = read / of_inputs
                    if bands > 1:
                        share = min((ceil(high / bands) - 1 + kernel - (kernel - 1) / 2) / size, 1.0)
                        first = min(max(first, share * read * bands / (tiles if i else of_inputs)), read)
                    heads = (tiles if i else of_inputs) if w else of_weights
                    later = (read - first) / max((of_inputs if w or i else tiles) - 1, 1)
                    piece = ceil(loads / of_weights / (8 * 128)) * 128 / config.weight_bytes_per_cycle
                    rows_ = [ceil(bits / (8 * 32)) * 32 / config.act_bytes_per_cycle for bits in (first, later)]
                    parts = Loads(
                        np.float64(heads),
                        (piece, rows_[0]),
                        (piece, rows_[1]),
                        (piece if w else 0.0, 0.0 if w else rows_[1]),
                        SETUP,
                        SETUP if w else config.act_latency + 16,
                    )
                    clocks = uneven_cycles(
                        tiles,
                        parts,
                        compute / tiles + config.pipeline_depth,
                        ceil(outputs / (8 * 32 * tiles)) * 32 / config.act_bytes_per_cycle,
                        double=True,
                        ports="act_shared",
                    )
                    least = min(least, (score(config, clocks, loads, read, weights, inputs), float(clocks)))
    return least


def score(config, clocks, loads, read, weights, inputs):
    """Clocks, and a thousandth of them for reading everything once more."""
    costs = config.weight_pj_per_bit, config.act_pj_per_bit
    again = (loads * costs[0] + read * costs[1]) / (weights * costs[0] + inputs * costs[1])
    return float(clocks) * (1 + TRAFFIC_SHARE * again)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.sampled_from((4, 8, 16, 32)),
    filters=st.integers(1, 24),
    size=st.integers(3, 14),
    kernel=st.sampled_from((1, 3)),
    kb=st.sampled_from(((1, 1, 1), (1, 4, 1), (4, 1, 4), (16, 2, 2), (2, 2, 16))),
    width=st.sampled_from((1, 8)),
)
def test_it_is_the_best_of_all(channels, filters, size, kernel, kb, width):
    network = WorkloadBuilder((channels, size, size))
    network.conv(INPUT, filters, kernel, bias=False)
    config = preset("wu32_dense").replace(
        **dict(zip(("weight_kb", "input_kb", "output_kb"), kb, strict=True)),
        shapes="fixed:4x1x8",
        act_bytes_per_cycle=width,
        layer_cycles=0,
    )
    table = NPU(config).evaluate(network.build())
    closed, moved = table.totals, table.layers
    searched = NPU(config.replace(tiling="search")).totals(network.build())
    busy = max(closed["compute_cycles"], ceil(filters * size * size / 4))
    bits = [filters * channels * kernel**2 * 8, channels * size * size * 8]
    loads, maps = (8 * float(moved[name].sum()) for name in ("weight_memory_bytes", "map_memory_bytes"))
    mine = score(config, closed["cycles"], loads, maps - filters * size * size * 8, *bits)
    _, wanted = min(every_tile(config, channels, filters, size, kernel, busy), (mine, closed["cycles"]))
    assert searched["cycles"] == pytest.approx(wanted, rel=1e-9)
    assert searched["compute_cycles"] == closed["compute_cycles"]


@pytest.mark.parametrize("objective", ["latency", "traffic", "energy", "edp"])
@pytest.mark.parametrize("network", ["resnet8", "mobilenet_v1_0.25_96", "ds_cnn", "autoencoder"])
def test_it_is_never_worse_than_the_closed_form(network, objective):
    config = preset("wu32").replace(objective=objective, weight_kb=4, input_kb=4, output_kb=4)
    workload = NETWORKS[network]().replace(weight_density=0.5)
    one, two = (NPU(config.replace(tiling=how)).evaluate(workload) for how in ("closed", "search"))

    def score(table):
        layers = table.layers
        energy = layers["weight_memory_bytes"] * 8 * config.weight_pj_per_bit
        energy = energy + layers["map_memory_bytes"] * 8 * config.act_pj_per_bit
        moved = layers["weight_memory_bytes"] + layers["map_memory_bytes"]
        cycles = np.maximum(layers["cycles"] - config.layer_cycles, 0)
        return {"latency": cycles, "traffic": moved, "energy": energy, "edp": cycles * energy}[objective]

    assert (score(two) <= score(one) * (1 + 1e-9)).all()


def test_points_are_searched_one_by_one():
    workload = NETWORKS["ds_cnn"]()
    base = preset("wu32").replace(tiling="search")
    (points,) = grid(base, {"macs": [16, 32], "weight_kb": [2, 8]})
    found = sweep(workload, points)
    for place in range(4):
        assert found["cycles"][place] == pytest.approx(NPU(points.config(place)).totals(workload)["cycles"])
