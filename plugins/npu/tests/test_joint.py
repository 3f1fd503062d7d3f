"""Networks of a table and units in one search: results of the network, costs of both."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu import NPU, area, preset
from nasplug_npu.spaces import WithUnitSpace
from nasplug_tables import TabularBenchmark
from nasplug_tables.examples import example
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
from nasplug.testing import Shapes

AXES = {"macs": [16, 64], "weight_kb": [8, 32]}


@pytest.mark.parametrize("strategy", ["random", "regularized_evolution"])
def test_the_table_knows_the_network_and_the_model_prices_it_on_its_unit(strategy):
    benchmark = TabularBenchmark(example(), noise="mean")
    assert benchmark.space.name == "nasbench201"
    space, task = WithUnitSpace(NASBench201(channels=4, cells=1), "wu32", AXES), Shapes((3, 32, 32), 10)
    study = nas.search(
        task,
        space=space,
        evaluator=benchmark,
        strategy=strategy,
        costs=["npu"],
        objectives={benchmark.metrics[0]: "max", "npu/latency_s": "min", "npu/area_mm2": "min"},
        trials=12,
        seed=3,
    )
    complete = [trial for trial in study.trials if trial.state == "complete"]
    units = set()
    for trial in complete:
        cell = space.inner_architecture(trial.architecture)
        metric = benchmark.metrics[0]
        assert trial.metrics[metric] == benchmark.values(metric)[benchmark.row(cell)]
        fields = dict(zip(AXES, trial.architecture.genotype[1], strict=True))
        config = preset("wu32").replace(**fields)
        wanted = NPU(config).totals(space.inner.workload(cell, task))["latency_s"]
        assert trial.costs["npu/latency_s"] == pytest.approx(wanted)
        assert trial.costs["npu/area_mm2"] == pytest.approx(area(config).total_mm2)
        units.add(trial.architecture.genotype[1])
    assert len(complete) >= 3
    assert len(units) > 1


def test_the_network_is_the_trained_part():
    space = WithUnitSpace(NASBench201(), "wu32", AXES)
    point = space.sample(np.random.default_rng(0))
    assert space.trained_part(point) == space.inner_architecture(point)
    assert space.inner.name == space.trained_part(point).space == "nasbench201"
