"""Q-NAS on the spaces of the two tables: choices per edge and vertex, and a setting for budgets of 150 queries."""

from __future__ import annotations

import statistics
from functools import cache

import numpy as np
import pytest
from nasplug_qnas.strategy import QNAS
from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
from nasplug.contract.records import Evaluation
from nasplug.testing import StrategyConformance, run_search

PRESETS = ("strong", "cifar2022", "table", "anchored")


@cache
def table_201():
    """All 15,625 cells; accuracy rewards convolutions, more so towards the output, and one skip connection."""
    digits = np.indices((5,) * 6).reshape(6, -1).T
    gain = np.array([-2.0, 0.0, 1.0, 2.0, -1.0])
    weights = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    score = (gain[digits] * weights).sum(axis=1) + 3.0 * (digits[:, 3] == 1)
    columns = {
        "ops": np.array(["".join(map(str, row)) for row in digits]).astype("S"),
        "val_acc_200_seed0": 70 + score,
        "test_acc_200": 70 + score,
    }
    return Table(columns, {"space": "nasbench201", "unit": "percent"})


class Sizes:
    """Scores every cell of NAS-Bench-101 by its edges and 3x3 convolutions, as a table of all of them would."""

    objectives = {"val_acc": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        trial = run.trial
        bits, operations = trial.architecture.genotype
        return Evaluation({"val_acc": 0.8 + 0.01 * bits.bit_count() + 0.02 * operations.count("0")})


def search_201(strategy, seed=0, trials=150):
    benchmark = TabularBenchmark(table_201())
    return nas.search(
        space=benchmark.space, evaluator=benchmark, strategy=strategy, trials=trials, seed=seed, batch=5, progress=False
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_searches_both_spaces(preset):
    edges = search_201(QNAS(preset), trials=60)
    assert all(trial.state == "complete" for trial in edges.trials)
    cells = run_search(QNAS(preset), space=NASBench101(), evaluator=Sizes(), trials=60)
    assert all(trial.state == "complete" for trial in cells.trials)
    for trial in cells.trials:
        cells.space.validate(trial.architecture)


@pytest.mark.parametrize("space", [NASBench101(), NASBench201()], ids=lambda space: space.name)
def test_a_distribution_for_every_edge_and_vertex(space):
    strategy = QNAS("table")
    evaluator = Sizes() if space.name == "nasbench101" else TabularBenchmark(table_201())
    run_search(strategy, space=space, evaluator=evaluator, trials=40)
    assert strategy.algorithm.nodes.choices == tuple(len(choice.options) for choice in space.choices)
    assert strategy.algorithm.nodes.entropy().mean() < np.mean(
        [np.log(len(choice.options)) for choice in space.choices]
    )


def test_the_table_preset_beats_random_search_at_150_queries():
    def best(strategy):
        return statistics.mean(search_201(strategy(), seed).best.values["val_acc"] for seed in range(3))

    random = best(lambda: "random")
    assert best(lambda: QNAS("table")) > random + 0.5
    assert best(lambda: QNAS("table")) > best(QNAS)


class TestTablePresetOnCells(StrategyConformance):
    """Repaired vectors: several of them are one cell, which the study copies and the evolution still counts."""

    trials = 30

    def make_strategy(self):
        return QNAS("table", hyperparameters={"lr": [1e-3, 1e-1, "log"]})

    def make_space(self):
        return NASBench101()


class TestTablePresetOnEdges(StrategyConformance):
    trials = 30

    def make_strategy(self):
        return QNAS("table")

    def make_space(self):
        return NASBench201()
