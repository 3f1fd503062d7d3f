"""Layers computed band by band together: by hand, against all partitions of a chain, and unchanged numbers without."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from nasplug_npu import NPU, Batch, explore, preset, sweep
from nasplug_npu.fusion import _costs, _groups
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import COLUMNS, Rows, pack
from nasplug_npu.networks import NETWORKS

from nasplug.workloads.builder import INPUT, WorkloadBuilder


def separable(size=32, channels=16, blocks=2):
    network = WorkloadBuilder((channels, size, size))
    row = INPUT
    for _ in range(blocks):
        row = network.conv(row, channels, 3, groups=channels, post="relu")
        row = network.conv(row, channels, 1, post="relu")
    return network.build()


@pytest.mark.parametrize(
    ("name", "cycles", "energy"),
    [
        ("mobilenet_v1_1.0_224", 18_222_917, 1.1130580e-3),
        ("resnet8", 416_136, 1.9325364e-5),
        ("ds_cnn", 95_740, 6.4181982e-6),
    ],
)
def test_numbers_without_it_are_what_they_were(name, cycles, energy):
    found = NPU("wu32").totals(NETWORKS[name]())
    assert round(found["cycles"]) == cycles
    assert found["energy_j"] == pytest.approx(energy, rel=1e-6)


def test_maps_between_the_layers_of_a_group_do_not_move():
    workload = separable(blocks=1)
    weights = 16 * 9 + 16 * 16 + 2 * 16 * 4  # bytes, with biases
    ends = 2 * 16 * 32 * 32
    alone = NPU("wu32_dense").totals(workload)
    found = NPU("wu32_dense,fusion=2").evaluate(workload)
    assert alone["traffic_bytes"] > weights + ends + 16 * 32 * 32
    assert found.layers["map_memory_bytes"][1] == 16 * 32 * 32  # its outputs only
    assert found.totals["traffic_bytes"] < alone["traffic_bytes"] - 2 * 16 * 32 * 32 + 1
    assert found.totals["cycles"] < alone["cycles"]
    assert found.totals["energy_j"] < alone["energy_j"]
    assert found.totals["macs"] == alone["macs"]


def test_bands_are_as_high_as_the_output_buffer_allows():
    matrix = pack(separable(blocks=1))
    bands = COLUMNS.index("bands")
    # A row of the map between is 32 x 16 bytes; a 1x1 layer needs as many of its rows as it makes.
    for kib, rows in ((0.5, 1), (1, 2), (8, 16), (16, 32)):
        ((_, marked),) = _groups(matrix, preset("wu32_dense").replace(output_kb=kib, fusion=2), 0)
        assert marked[:, bands].tolist() == [32 / rows] * 2
    assert not _groups(matrix, preset("wu32_dense").replace(output_kb=0.25, fusion=2), 0)
    # The other way round, windows of three rows need two more.
    ((_, marked),) = _groups(pack(separable(blocks=2))[1:3], preset("wu32_dense").replace(output_kb=2, fusion=2), 0)
    assert marked[:, bands].tolist() == [16.0, 16.0]  # 2 + 2 rows of 512 bytes


def test_weights_of_a_group_fit_their_buffer_together():
    matrix = pack(separable(blocks=1))
    held = (16 * 9 + 16 * 16 + 2 * 16 * 4) / 1024  # KiB
    assert _groups(matrix, preset("wu32_dense").replace(fusion=2, weight_kb=2 * held), 0)
    assert not _groups(matrix, preset("wu32_dense").replace(fusion=2, weight_kb=1.9 * held), 0)


@pytest.mark.parametrize("objective", ["latency", "traffic", "energy"])
@pytest.mark.parametrize("most", [2, 3, 5])
def test_groups_are_the_best_of_all_partitions(objective, most):
    config = preset("wu32_dense").replace(fusion=most, objective=objective, output_kb=4, act_bytes_per_cycle=2)
    workload = separable(size=24)
    matrix, points = pack(workload), Points.of(config)
    groups = {(first, first + len(marked)): marked for at in range(4) for first, marked in _groups(matrix, config, at)}

    def cost(rows):
        return float(_costs(layers(Rows(rows), points), config).sum())

    sums = []
    for cuts in product((False, True), repeat=3):
        ends = [place + 1 for place, cut in enumerate(cuts) if cut] + [4]
        pieces = list(zip([0, *ends], ends, strict=False))
        if all(end - first == 1 or (first, end) in groups for first, end in pieces):
            sums.append(sum(cost(groups.get((first, end), matrix[first:end])) for first, end in pieces))
    unit = NPU(config)
    assert cost(unit._packed(workload)) == pytest.approx(min(sums))
    assert len(sums) > 2


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_96", "resnet8", "ds_cnn", "autoencoder"])
def test_more_layers_together_are_never_slower(name):
    units = [NPU(preset("wu32").replace(fusion=most, output_kb=32, weight_kb=32)) for most in (1, 2, 3, 6)]
    cycles = [unit.totals(NETWORKS[name]())["cycles"] for unit in units]
    assert cycles == sorted(cycles, reverse=True)
    assert (cycles[-1] < cycles[0]) == (name != "autoencoder")  # which is fully connected


def test_batches_sweeps_and_explorations_ask_the_same():
    workloads = [separable(), NETWORKS["ds_cnn"]()]
    unit = NPU("wu32_dense,fusion=3")
    many = unit.many(workloads)["latency_s"]
    np.testing.assert_array_equal(many, [unit.totals(workload)["latency_s"] for workload in workloads])
    points = Points.together(
        [preset("wu32_dense").replace(fusion=most, output_kb=kib) for most in (1, 3) for kib in (4, 32)]
    )
    swept = sweep(Batch.of(workloads[:1]), points)["latency_s"]
    wanted = [NPU(points.config(place)).totals(workloads[0])["latency_s"] for place in range(4)]
    np.testing.assert_allclose(swept, wanted)
    axes = {"fusion": [1, 4], "output_kb": [4, 32], "macs": [16, 32]}
    pruned, whole = (explore(workloads[0], preset("wu32_dense"), axes, prune=prune) for prune in (True, False))
    np.testing.assert_array_equal(pruned.values, whole.values)
    assert {config.fusion for config in pruned.configs} >= {4}
