"""Hypervolume against evaluations: EMONAS beside pymoo's own NSGA-II, random search and regularized evolution.

All search NAS-Bench-201 for validation accuracy and few parameters, and all see the same numbers, those of one table.
`pymoo_matched` is pymoo's NSGA-II with the settings of EMONAS: as the two are one algorithm with different random
numbers, their hypervolumes must agree, which is the test of EMONAS. `pymoo_default` has pymoo's default operators,
rounded. The hypervolume is that part of the true front's which the trials so far dominate, with the reference at 80 %
and the largest network. The table is not part of the project; give its path.

Run: python benchmarks/emonas_hypervolume.py cifar10.parquet
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from _record import record
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

import nasplug as nas
from nasplug.contract.records import Evaluation

WORST_ACCURACY = 80.0


class Table:
    """Validation accuracy (mean over training runs) and parameters of every cell, by the code of the cell."""

    def __init__(self, path: Path) -> None:
        self.space = NASBench201()
        benchmark = TabularBenchmark(path)
        architectures = [self.space.from_code(code) for code in range(self.space.size())]
        rows = benchmark.rows(architectures)
        accuracy = benchmark.values("val_acc")[rows]
        params = benchmark.table.column("params").astype(np.float64)[rows]
        #: To minimise: float64 (cells, 2). Reference point: the worst accuracy that counts, and the largest network.
        self.points = np.stack([-accuracy, params], axis=1)
        self.reference = np.array([-WORST_ACCURACY, params.max() + 1.0])
        self.best = float(moocore.hypervolume(self.points, ref=self.reference))

    def share(self, codes: list[int]) -> float:
        """Part of the true front's hypervolume that these cells dominate."""
        return float(moocore.hypervolume(self.points[codes], ref=self.reference)) / self.best


class FromTable:
    """The evaluator that looks up; the same numbers as pymoo's problem."""

    objectives = {"val_acc": "max", "params": "min"}  # noqa: RUF012

    def __init__(self, table: Table) -> None:
        self._table = table

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> Evaluation:
        """Accuracy and parameters of the cell."""
        error, params = self._table.points[self._table.space.code(run.trial.architecture)]
        return Evaluation({"val_acc": -float(error), "params": float(params)})


class Cells(Problem):
    """NAS-Bench-201 for pymoo: six integers; remembers what was evaluated."""

    def __init__(self, table: Table, low: float, high: float) -> None:
        super().__init__(n_var=6, n_obj=2, xl=np.full(6, low), xu=np.full(6, high))
        self.table, self.codes = table, []

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        codes = [self.table.space.code(self.table.space.from_vector([int(i) for i in row])) for row in x]
        self.codes += codes
        out["F"] = self.table.points[codes]


def with_nasplug(strategy: Any) -> Callable[..., list[int]]:
    """Codes of the cells that a strategy asks for, in order."""

    def run(table: Table, evaluations: int, population: int, seed: int) -> list[int]:
        study = nas.search(
            space=table.space,
            evaluator=FromTable(table),
            strategy=strategy(population),
            objectives=FromTable.objectives,
            trials=evaluations,
            batch=population,
            seed=seed,
            progress=False,
        )
        return [table.space.code(trial.architecture) for trial in study.trials]

    return run


def pymoo_matched(table: Table, evaluations: int, population: int, seed: int) -> list[int]:
    """The operators of EMONAS."""
    algorithm = NSGA2(
        pop_size=population,
        sampling=_uniform,
        crossover=TwoPointCrossover(prob=1.0),
        mutation=PM(eta=3, prob=1.0, prob_var=1 / 6),
        repair=RoundingRepair(),
        eliminate_duplicates=True,
    )
    problem = Cells(table, -0.5, float(np.nextafter(4.5, 0)))
    minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
    return problem.codes[:evaluations]


def _uniform(problem: Any, count: int, random_state: Any = None, **kwargs: Any) -> Any:
    """Uniform integers; pymoo's own sampling would draw from the widened bounds."""
    return Population.new("X", random_state.integers(0, 5, (count, problem.n_var)))


def pymoo_default(table: Table, evaluations: int, population: int, seed: int) -> list[int]:
    """Pymoo's own choice of operators for integers."""
    repair = RoundingRepair()
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(eta=15, prob=0.9, vtype=float, repair=repair),
        mutation=PM(eta=20, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    problem = Cells(table, 0.0, 4.0)
    minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
    return problem.codes[:evaluations]


METHODS: dict[str, Callable[..., list[int]]] = {
    "emonas": with_nasplug(lambda n: nas.component("emonas", population=n, offspring=n, distinct="genotype")),
    "emonas_distinct_networks": with_nasplug(lambda n: nas.component("emonas", population=n, offspring=n)),
    "emonas_steady_state": with_nasplug(lambda n: nas.component("emonas", population=n, offspring=1)),
    "pymoo_matched": pymoo_matched,
    "pymoo_default": pymoo_default,
    "regularized_evolution": with_nasplug(lambda n: nas.component("regularized_evolution", population_size=n)),
    "random": with_nasplug(lambda n: nas.component("random")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    table = Table(arguments.table)
    marks = [n for n in (20, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800) if n <= arguments.evaluations]
    curves: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    for seed in range(arguments.seeds):
        for name, run in METHODS.items():
            started = time.process_time()
            codes = run(table, arguments.evaluations, arguments.population, seed)
            seconds[name] += time.process_time() - started
            curves[name].append([table.share(codes[:mark]) for mark in marks])
        print(f"seed {seed}: " + ", ".join(f"{name} {found[-1][-1]:.4f}" for name, found in curves.items()), flush=True)
    values = {name: np.array(found) for name, found in curves.items()}
    summary = {
        name: {
            "mean": dict(zip(map(str, marks), found.mean(axis=0).tolist(), strict=True)),
            "sd": dict(zip(map(str, marks), found.std(axis=0, ddof=1).tolist(), strict=True)),
            "cpu_seconds_per_run": seconds[name] / arguments.seeds,
        }
        for name, found in values.items()
    }
    result = {
        "table": f"{arguments.table.name}: NAS-Bench-201, CIFAR-10, 200 epochs, validation accuracy and parameters",
        "settings": {
            "evaluations": arguments.evaluations,
            "population": arguments.population,
            "reference": {"val_acc": WORST_ACCURACY, "params": table.reference[1]},
        },
        "seeds": list(range(arguments.seeds)),
        "summary": summary,
        "against_emonas": {
            name: dict(
                zip(
                    map(str, marks),
                    [_compare(values["emonas"][:, i], found[:, i]) for i in range(len(marks))],
                    strict=True,
                )
            )
            for name, found in values.items()
            if name != "emonas"
        },
        "curves": {"evaluations": marks, **curves},
    }
    record(
        "emonas_hypervolume",
        result,
        packages=("pymoo", "moocore"),
        **({} if arguments.out is None else {"folder": arguments.out}),
    )


def _compare(ours: Any, theirs: Any) -> dict[str, float]:
    """Difference of means (ours - theirs) and its standard error, after Welch."""
    error = np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    return {"difference": float(ours.mean() - theirs.mean()), "standard_error": float(error)}


if __name__ == "__main__":
    main()
