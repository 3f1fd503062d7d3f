"""What `nasplug test-plugin tables` runs on."""

from __future__ import annotations

import pytest
from nasplug_tables import TabularBenchmark
from nasplug_tables.examples import example

from nasplug.testing.installed import suites

pytest.importorskip("pyarrow")


def test_the_example_is_a_whole_table():
    benchmark = TabularBenchmark(example())
    assert len(benchmark.table) == 15_625
    assert benchmark.best("val_acc")[0] == 16.0
    assert example() == example()


def test_every_component_is_tested():
    made = suites("tables")
    for title in ("EvaluatorTabular", "SpaceNasbench101", "SpaceNasbench201", "TargetTable", "CostColumn"):
        assert not hasattr(made[f"Test{title}Conformance"], "test_conformance"), f"{title} offers no examples"
    made["TestTargetTableConformance"]().test_it_knows_its_names()
    made["TestCostColumnConformance"]().make_cost()
    made["TestEvaluatorTabularConformance"]().test_metrics_are_there_and_finite()
    assert not made["TestSpaceNasbench101Conformance"].one_decision
