"""Exploration in layers returns the front of an exhaustive search, and says what it left out."""

from __future__ import annotations

import json

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_npu import NPU, Batch, area, explore, preset, sweep
from nasplug_npu.bounds import lower_bounds
from nasplug_npu.networks import NETWORKS
from nasplug_npu.sweeping import grid

from nasplug.contract.errors import SpecError

AXES = {
    "macs": [16, 32, 64, 128, 256],
    "weight_kb": [4, 8, 16, 32, 64],
    "input_kb": [8, 16, 32, 64, 128],
    "output_kb": [4, 8, 16, 32, 64],
    "act_bytes_per_cycle": [4, 8],
    "sparsity": ["none", "weight_skip"],
    "weight_bytes_per_cycle": [2, 8],
}


def brute_force(workload, base, axes, max_area, objectives):
    """All valid points within the budget, one call of the model each."""
    values, configs = [], []
    for points in grid(base, axes):
        places = np.flatnonzero(points.valid())
        points = points.take(places)
        found = sweep(workload, points)
        size = area(points).total_mm2
        columns = {"area_mm2": size, "latency_s": found["latency_s"], "energy_j": found["energy_j"]}
        together = np.stack([columns[name] for name in objectives], axis=1)
        fine = (size <= max_area) & np.isfinite(together).all(axis=1)
        values.append(together[fine])
        configs += [points.config(int(place)) for place in np.flatnonzero(fine)]
    together = np.concatenate(values)
    best = moocore.is_nondominated(together, keep_weakly=True)
    return together[best], [config for config, kept in zip(configs, best, strict=True) if kept], len(together)


@pytest.mark.parametrize("objectives", [("area_mm2", "latency_s", "energy_j"), ("area_mm2", "latency_s")])
def test_it_is_the_exhaustive_front_of_5000_points(objectives):
    workload = NETWORKS["resnet8"]().replace(weight_density=0.6)
    base = preset("wu32")
    found = explore(workload, base, AXES, max_area=0.6, objectives=objectives)
    values, configs, within = brute_force(workload, base, AXES, 0.6, objectives)
    assert found.counts["space"] == 5000
    order = np.lexsort(values.T[::-1])
    np.testing.assert_array_equal(found.values, values[order])
    key = str
    assert sorted(map(key, found.configs)) == sorted(map(key, configs))
    counts = found.counts
    assert counts["space"] == counts["invalid"] + counts["too_large"] + counts["dominated"] + counts["evaluated"]
    assert within == counts["dominated"] + counts["evaluated"] - counts["unfit"]
    assert counts["too_large"] > 0
    assert counts["dominated"] > 0
    everything = explore(workload, base, AXES, max_area=0.6, objectives=objectives, prune=False)
    assert everything.counts["dominated"] == 0
    np.testing.assert_array_equal(everything.values, found.values)


@settings(max_examples=25, deadline=None)
@given(
    network=st.sampled_from(("resnet8", "ds_cnn", "autoencoder")),
    changes=st.fixed_dictionaries(
        {
            "sparsity": st.sampled_from(("none", "gate", "weight_skip", "dual_skip")),
            "encoding": st.sampled_from(("dense", "bitmask", "nm2:4")),
            "precision": st.sampled_from(("none", "full2d", "symmetric")),
            "ports": st.sampled_from(("separate", "act_shared", "shared")),
            "forwarding": st.booleans(),
            "double": st.booleans(),
            "macs": st.sampled_from((8, 64)),
            "act_bytes_per_cycle": st.sampled_from((1, 16)),
            "node_nm": st.sampled_from((22, 45)),
        }
    ),
    bits=st.sampled_from((2, 8, 16)),
)
def test_bounds_are_bounds(network, changes, bits):
    config = preset("wu32").replace(**changes)
    workload = NETWORKS[network]().replace(weight_bits=bits, weight_density=0.4)
    (points,) = grid(config, {"macs": [config.macs]})
    (latency,), (energy,) = lower_bounds(Batch.of([workload]), points)
    found = NPU(config).totals(workload)
    assert 0.05 * found["latency_s"] < latency <= found["latency_s"]
    assert 0.02 * found["energy_j"] < energy <= found["energy_j"]


def test_several_networks():
    networks = {name: NETWORKS[name]() for name in ("resnet8", "ds_cnn")}
    axes = {"macs": [16, 64], "weight_kb": [8, 32]}
    for combine, together in (("sum", sum), ("worst", max)):
        found = explore(networks, preset("wu32"), axes, combine=combine)
        config = found.configs[0]
        each = [NPU(config).totals(workload)["latency_s"] for workload in networks.values()]
        assert found.values[0, 1] == pytest.approx(together(each))


def test_what_it_says():
    found = explore(NETWORKS["ds_cnn"](), preset("wu32"), {"macs": [16, 32, 64], "weight_kb": [8, 16]})
    data = json.loads(json.dumps(found.to_json()))
    assert data["counts"]["front"] == len(data["front"]) == len(found.configs)
    assert found.rows()[0]["area_mm2"] == area(found.configs[0]).total_mm2
    assert 0 <= found.knee < len(found.configs)
    assert found.hypervolume() >= 0
    assert set(found.seconds) >= {"rules", "area", "bound", "model"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objectives": ["latency"]}, "did you mean 'latency_s'"),
        ({"combine": "mean"}, "cannot combine"),
        ({"max_area": 0.01}, "no unit is valid"),
    ],
)
def test_impossible_wishes(changes, said):
    with pytest.raises(SpecError, match=said):
        explore(NETWORKS["ds_cnn"](), preset("wu32"), {"macs": [16]}, **changes)
