"""Measured latency as an objective and a constraint of a search that trains real networks."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import nasplug as nas


@pytest.fixture
def widths(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    return importlib.import_module("user_project").Widths()


def test_costs_as_objectives_and_constraints(widths):
    study = nas.search(
        nas.ImageClassification(limit=200),
        space=widths,
        trials=4,
        objectives={"val_acc": "max", "cpu/latency_s": "min", "params": "min"},
        constraints=["macs <= 1000"],
        target="cpu:repeats=3",
        progress=False,
    )
    for trial in study.trials:
        width = trial.architecture.genotype[0]
        assert trial.costs["macs"] == width * 74
        assert trial.costs["params"] == width * 75 + 10
        assert trial.state == ("pruned" if width == 16 else "complete")
        assert trial.metrics == {} if width == 16 else trial.costs["cpu/latency_s"] > 0
    assert {trial.state for trial in study.trials} == {"pruned", "complete"}
    assert all(trial.state == "complete" for trial in study.pareto())
