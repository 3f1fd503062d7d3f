"""A table as evaluator: which value a trial gets, and what searches may not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.benchmark import space_of
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
from nasplug.contract.errors import DataError, PluginError, SpaceError, SpecError, StudyError, TrialError
from nasplug.testing import SyntheticSpace


def table_201(**more) -> Table:
    """All 15,625 cells; accuracy counts the convolutions, each training run is off by its number."""
    digits = np.array([np.base_repr(index, 5).zfill(6) for index in range(5**6)]).astype("S")
    base = sum((digits.view("S1").reshape(-1, 6) == op).sum(axis=1) for op in (b"2", b"3")).astype(float)
    columns = {
        "ops": digits,
        "val_acc_200_seed0": base,
        "val_acc_200_seed1": base + 0.25,
        "test_acc_200": base * 2,
        "val_acc_12": base / 2,
        "train_time_200": 100 + base,
        **more,
    }
    return Table(columns, {"space": "nasbench201"})


def run(benchmark, strategy="random", trials=30, **options):
    return nas.search(None, space=benchmark.space, evaluator=benchmark, strategy=strategy, trials=trials, **options)


def test_searches_see_validation_and_never_test():
    benchmark = TabularBenchmark(table_201())
    assert benchmark.metrics == ("val_acc", "train_time")
    study = run(benchmark)
    assert all("test_acc" not in trial.metrics for trial in study.trials)
    assert [objective.name for objective in study.objectives] == ["val_acc"]


def test_noise_is_a_training_run_and_belongs_to_the_trial():
    table = table_201()
    drawn = run(TabularBenchmark(table))
    offsets = {trial.metrics["val_acc"] % 1 for trial in drawn.trials}
    assert offsets == {0.0, 0.25}
    assert [t.metrics for t in run(TabularBenchmark(table)).trials] == [t.metrics for t in drawn.trials]
    meant = run(TabularBenchmark(table, noise="mean"))
    assert {trial.metrics["val_acc"] % 1 for trial in meant.trials} == {0.125}


def test_missing_runs_are_left_out():
    lost = np.full(5**6, np.nan)
    benchmark = TabularBenchmark(table_201(val_acc_200_seed1=lost))
    assert all(trial.metrics["val_acc"] % 1 == 0.0 for trial in run(benchmark).trials)
    assert benchmark.values("val_acc")[5**6 - 1] == 0.0
    empty = TabularBenchmark(table_201(val_acc_200_seed0=lost, val_acc_200_seed1=lost))
    trial = run(empty, trials=1).trials[0]
    assert trial.state == "failed"
    assert "no val_acc" in trial.failure.message


def test_schedules():
    table = table_201()
    longest = run(TabularBenchmark(table), trials=3)
    assert [m.step for m in longest.trials[0].measurements] == [11, 199]
    short = run(TabularBenchmark(table, schedule="budget"), trials=3, epochs=12)
    for trial in short.trials:
        assert (
            trial.metrics["val_acc"]
            == TabularBenchmark(table).values("val_acc", 12)[TabularBenchmark(table).row(trial.architecture)]
        )
    with pytest.raises(SpecError, match="12, 200"):
        run(TabularBenchmark(table, schedule="budget"), trials=3, epochs=50)


def test_successive_halving_on_budgets():
    benchmark = TabularBenchmark(table_201(), schedule="budget")
    strategy = nas.component("asha", inner="random", eta=16, min_epochs=12, max_epochs=200)
    study = run(benchmark, strategy, trials=60, epochs=200)
    assert {trial.state for trial in study.trials} == {"complete"}
    epochs = [study.budget_of(trial).epochs for trial in study.trials]
    assert set(epochs) == {12, 200}
    assert epochs.count(12) > 4 * epochs.count(200)


def test_rows_architectures_and_values_agree():
    rng = np.random.default_rng(0)
    order = rng.permutation(5**6)
    table = table_201()
    shuffled = Table({name: column[order] for name, column in table.columns.items()}, table.info)
    benchmark = TabularBenchmark(shuffled)
    architectures = [benchmark.space.sample(rng) for _ in range(40)]
    rows = benchmark.rows(architectures)
    for architecture, row in zip(architectures, rows, strict=True):
        assert benchmark.row(architecture) == row
        assert benchmark.architecture(int(row)) == architecture
        convolutions = sum("conv" in operation for operation in architecture.genotype)
        assert benchmark.values("test_acc")[row] == 2 * convolutions
    assert benchmark.best("test_acc")[0] == 12.0
    assert benchmark.best("train_time")[0] == 100.0
    assert benchmark.seeds("val_acc") == 2
    assert benchmark.values("val_acc", 200, seed=1)[rows[0]] == benchmark.values("val_acc", 200, seed=0)[rows[0]] + 0.25


def test_nasbench101_rows_in_any_vertex_order():
    space = NASBench101()
    rng = np.random.default_rng(1)
    cells = [space.sample(rng) for _ in range(50)]
    # 6 bits, vertices in another order: input -> 2 -> 1 would run backward, so swap two parallel vertices.
    diamond = {"num_vertices": 4, "adj_bits": 0b101_01_1 | 1 << 4, "ops": "01"}
    mirrored = space.architecture((diamond["adj_bits"], "10"))
    columns = {
        "num_vertices": np.array([len(c.genotype[1]) + 2 for c in cells] + [4], dtype=np.uint8),
        "adj_bits": np.array([c.genotype[0] for c in cells] + [diamond["adj_bits"]], dtype=np.uint32),
        "ops": np.array([c.genotype[1] for c in cells] + [diamond["ops"]]).astype("S"),
        "test_acc_108": np.arange(51, dtype=float),
    }
    benchmark = TabularBenchmark(Table(columns))
    assert benchmark.space.name == "nasbench101"
    assert benchmark.metrics == ("test_acc",), "a table of nothing but tests is searched by them"
    assert [benchmark.row(cell) for cell in cells] == list(range(50))
    assert space.architecture((diamond["adj_bits"], "01")).key != mirrored.key or benchmark.row(mirrored) == 50


def test_architectures_that_are_not_there():
    whole = table_201()
    half = Table({name: column[:100] for name, column in whole.columns.items()}, whole.info)
    benchmark = TabularBenchmark(half)
    missing = NASBench201().architecture(("avg_pool_3x3",) * 6)
    with pytest.raises(TrialError, match="no row"):
        benchmark.row(missing)
    study = run(benchmark, trials=20)
    assert {trial.state for trial in study.trials} == {"failed"}


def test_a_strangers_own_space_needs_no_code():
    space = SyntheticSpace()
    rng = np.random.default_rng(0)
    found = {a.key: a for a in (space.sample(rng) for _ in range(300))}
    vectors = [a.genotype for a in found.values()]
    columns = {choice.name: np.array([vector[i] for vector in vectors]) for i, choice in enumerate(space.choices)}
    benchmark = TabularBenchmark(Table({**columns, "val_acc_5": np.linspace(0, 1, len(vectors))}), space)
    assert [benchmark.row(a) for a in found.values()] == list(range(len(vectors)))


def test_a_space_of_any_plugin_is_found_by_its_name():
    table = Table({"val_acc_3": np.zeros(1)}, {"space": "lights"})
    assert space_of(table, [Path(__file__).parent / "support" / "lights_plugin.py"]).name == "lights"
    with pytest.raises(DataError, match="which no loaded plugin has"):
        space_of(table)
    with pytest.raises(SpecError, match="models"):  # known, and it needs arguments
        space_of(Table(table.columns, {"space": "timm"}))


def test_wrong_tables_are_refused_before_anything_runs():
    whole = table_201()
    with pytest.raises(DataError, match="does not state its space"):
        TabularBenchmark(Table({"a": np.zeros(3), "val_acc_3": np.zeros(3)}))
    with pytest.raises(DataError, match="no results"):
        TabularBenchmark(Table({"ops": whole.columns["ops"]}, whole.info))
    with pytest.raises(DataError, match="no column 'ops'"):
        TabularBenchmark(Table({"val_acc_3": np.zeros(3)}, whole.info))
    with pytest.raises(SpaceError, match="beyond 0 to 4"):
        TabularBenchmark(Table({"ops": np.array([b"000009"]), "val_acc_3": np.zeros(1)}, whole.info))
    with pytest.raises(DataError, match="two rows"):
        TabularBenchmark(Table({"ops": np.array([b"000000"] * 2), "val_acc_3": np.zeros(2)}, whole.info))
    with pytest.raises(DataError, match="val_acc"):
        TabularBenchmark(whole, metrics=["val_ac"])
    with pytest.raises(SpecError, match="mean"):
        TabularBenchmark(whole, noise="maen")


def test_simulated_clock_answers_in_the_order_of_the_ends(tmp_path):
    rng = np.random.default_rng(0)
    benchmark = TabularBenchmark(table_201(train_time_200=rng.uniform(10, 1000, 5**6)))
    options = {"trials": 40, "batch": 5, "clock": "train_time", "seed": 3}
    study = run(benchmark, "regularized_evolution", **options)
    ends = [study.finished_at(trial) for trial in study.trials]
    assert ends == sorted(ends)
    numbers = [trial.number for trial in study.trials]
    assert numbers != sorted(numbers), "short trainings overtake long ones"
    assert sorted(numbers) == list(range(40))
    # Five machines are busy all the time: the sum of all trainings is five times the end, but for the last ones.
    total = sum(trial.metrics["train_time"] for trial in study.trials if trial.copied_from is None)
    assert 0.8 < total / (5 * ends[-1]) <= 1.0
    again = run(benchmark, "regularized_evolution", storage=tmp_path / "s.sqlite", **options)
    assert [t.architecture.key for t in again.trials] == [t.architecture.key for t in study.trials]
    resumed = run(benchmark, "regularized_evolution", storage=tmp_path / "s.sqlite", **{**options, "trials": 60})
    assert [t.number for t in resumed.trials][:30] == numbers[:30]
    with pytest.raises(StudyError, match="clock"):
        run(benchmark, trials=1).finished_at(study.trials[0])


class Cooled(nas.HyperparameterSpace):
    """Cells, each with a fan that no training depends on."""

    def __init__(self):
        super().__init__(NASBench201(), {"fan": ["slow", "fast"]})
        self.name = "cooled"

    hyperparameter_names = ()

    def hyperparameters(self, architecture):
        return {}

    def trained_part(self, architecture):
        return self.inner_architecture(architecture)


def test_results_of_a_point_are_those_of_its_trained_part():
    benchmark = TabularBenchmark(table_201(), noise="mean")
    study = nas.search(None, space=Cooled(), evaluator=benchmark, strategy="random", trials=40)
    assert {trial.architecture.genotype[1] for trial in study.trials} == {("slow",), ("fast",)}
    for trial in study.trials:
        cell = NASBench201().architecture(trial.architecture.genotype[0])
        assert trial.metrics["val_acc"] == benchmark.values("val_acc")[benchmark.row(cell)]
    trained = nas.HyperparameterSpace(NASBench201(), {"lr": {"low": 0.01, "high": 0.1}})
    # a training with another learning rate is not in the table
    with pytest.raises(PluginError, match="no evaluator answered"):
        nas.search(None, space=trained, evaluator=benchmark, strategy="random", trials=2)
