"""Surrogates screen units: what they say of their error holds, and every number that comes back is the model's."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from nasplug_npu import NPU, Batch, area, explore, preset, sweep
from nasplug_npu.bounds import lower_bounds
from nasplug_npu.networks import NETWORKS
from nasplug_npu.surrogates import Surrogate
from nasplug_npu.sweeping import grid

from nasplug.contract.errors import SpecError

AXES = {
    "macs": [16, 32, 64, 128, 256],
    "weight_kb": [4, 8, 16, 32, 64],
    "input_kb": [8, 16, 32, 64, 128],
    "output_kb": [4, 8, 16, 32],
    "act_bytes_per_cycle": [4, 8],
    "sparsity": ["none", "weight_skip"],
}
WORKLOAD = NETWORKS["resnet8"]().replace(weight_density=0.6)


def test_the_front_is_nearly_that_of_all_units_for_far_fewer_evaluations():
    whole = explore(WORKLOAD, preset("wu32"), AXES)
    found = explore(WORKLOAD, preset("wu32"), AXES, surrogate=200)
    assert found.surrogate is not None
    assert found.counts["learned"] == found.surrogate.units == 200
    counts = found.counts
    assert counts["evaluated"] < 0.7 * whole.counts["evaluated"]
    assert counts["space"] == counts["invalid"] + counts["too_large"] + counts["dominated"] + counts["evaluated"]
    worst = whole.evaluated.max(axis=0)
    shares = [moocore.hypervolume(one.values / worst, ref=np.ones(3)) for one in (found, whole)]
    assert shares[0] / shares[1] > 0.999
    for config, values in list(zip(found.configs, found.values, strict=True))[::7]:
        costs = NPU(config).totals(WORKLOAD)
        np.testing.assert_allclose(values, [area(config).total_mm2, costs["latency_s"], costs["energy_j"]])
    assert found.to_json()["surrogate"]["units"] == 200
    assert whole.to_json()["surrogate"] is None


def test_errors_are_those_of_units_that_it_has_not_seen():
    sets = [points.take(np.flatnonzero(points.valid())) for points in grid(preset("wu32"), AXES)]
    batch = Batch.of([WORKLOAD])
    bounds = [np.stack([area(points).total_mm2, *lower_bounds(batch, points)], axis=1) for points in sets]
    truth = []
    for points, bound in zip(sets, bounds, strict=True):
        costs = sweep(batch, points)
        truth.append(np.stack([bound[:, 0], costs["latency_s"], costs["energy_j"]], axis=1))
    learned = Surrogate(sets, bounds, seed=1)
    errors = learned.learn(200, lambda number, members: truth[number][members])
    ratios = np.concatenate([learned.predict(number) / truth[number][:, 1:] for number in range(len(sets))])
    assert np.median(np.abs(ratios - 1), axis=0) == pytest.approx(errors.median, rel=0.6)
    assert (np.mean(ratios <= np.array(errors.margin), axis=0) > 0.95).all()
    assert max(errors.median) < 0.05


def test_too_few_units():
    with pytest.raises(SpecError, match="too few to learn from"):
        explore(WORKLOAD, preset("wu32"), {"macs": [16, 32, 64]}, surrogate=500)
