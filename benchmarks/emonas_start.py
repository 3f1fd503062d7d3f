"""The start and the steady state of EMONAS on NAS-Bench-101, beside NSGA-II and random search with the same start.

Objectives are the mean test accuracy and the number of parameters; the hypervolume is that of all evaluated cells, in
parts of that of the true front of all 423,624 cells. Each search runs with both starts: cells drawn from the prior of
the space, and cells whose density of edges varies from draw to draw. Random search with a start draws all its cells
like that. Differences are paired by seed, with t intervals of 95 %.

Run: python benchmarks/emonas_start.py nasbench101.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from _inference import interval
from _record import record
from nasplug_emonas.positions import Positions
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench101 import NASBench101

import nasplug as nas
from nasplug.contract.records import Architecture, Evaluation

WORST_ACCURACY = 0.85
MARKS = (20, 40, 60, 80, 100, 150, 200)


class Sparse(NASBench101):
    """The same cells, drawn with a density of edges that varies."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A cell whose edges are there with one probability."""
        return Positions(self).spread(super().sample(rng), rng)


class FromTable:
    """Accuracy and parameters, looked up."""

    objectives = {"test_acc": "max", "params": "min"}  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        self._benchmark = TabularBenchmark(path)
        accuracy = self._benchmark.values("test_acc")
        params = self._benchmark.table.column("params").astype(np.float64)
        #: To minimise: float64 (cells, 2).
        self.points = np.stack([-accuracy, params], axis=1)
        self.reference = np.array([-WORST_ACCURACY, float(np.quantile(params, 0.99))])
        self.best = float(moocore.hypervolume(self.points, ref=self.reference))

    def row(self, architecture: Architecture) -> int:
        """Row of a cell."""
        return int(self._benchmark.row(architecture))

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> Evaluation:
        """Looks the cell up."""
        error, params = self.points[self.row(run.trial.architecture)]
        return Evaluation({"test_acc": -float(error), "params": float(params)})


#: Strategy, and whether it starts with the spread.
ARMS: dict[str, tuple[Any, bool]] = {
    "emonas": (nas.component("emonas"), False),
    "emonas spread": (nas.component("emonas", start="spread"), True),
    "emonas steady": (nas.component("emonas", offspring=1), False),
    "emonas steady spread": (nas.component("emonas", preset="steady"), True),
    "nsga2": (nas.component("nsga2"), False),
    "nsga2 spread": (nas.component("nsga2"), True),
    "regularized_evolution spread": (nas.component("regularized_evolution", population_size=20), True),
    "random": ("random", False),
    "random spread": ("random", True),
}


def shares(table: FromTable, arm: str, evaluations: int, seed: int) -> list[float]:
    """Part of the hypervolume after so many evaluations."""
    strategy, spread = ARMS[arm]
    # EMONAS draws the spread itself, the others get it from the space.
    space = Sparse() if spread and "emonas" not in arm else NASBench101()
    options: dict[str, Any] = {"batch": 1 if "steady" in arm else 20, "progress": False, "seed": seed}
    study = nas.search(
        space=space,
        evaluator=table,
        strategy=strategy,
        objectives=FromTable.objectives,
        trials=evaluations,
        **options,
    )
    points = table.points[[table.row(trial.architecture) for trial in study.trials]]
    return [float(moocore.hypervolume(points[:mark], ref=table.reference)) / table.best for mark in MARKS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    table = FromTable(arguments.table)
    found: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for seed in range(arguments.seeds):
        for arm in ARMS:
            found[arm].append(shares(table, arm, MARKS[-1], seed))
        print(f"seed {seed}: " + ", ".join(f"{arm} {rows[-1][4]:.3f}" for arm, rows in found.items()), flush=True)
    values = {arm: np.array(rows) for arm, rows in found.items()}
    ours = "emonas steady spread"
    result = {
        "seeds": list(range(arguments.seeds)),
        "settings": {"reference": {"test_acc": WORST_ACCURACY, "params": float(table.reference[1])}, "population": 20},
        "summary": {
            arm: {
                "mean": dict(zip(map(str, MARKS), rows.mean(axis=0).tolist(), strict=True)),
                "sd": dict(zip(map(str, MARKS), rows.std(axis=0, ddof=1).tolist(), strict=True)),
            }
            for arm, rows in values.items()
        },
        "ahead_of": {
            arm: {str(mark): interval(list(values[ours][:, i] - rows[:, i])) for i, mark in enumerate(MARKS)}
            for arm, rows in values.items()
            if arm != ours
        },
        "gain_of_the_start": {
            arm: {
                str(mark): interval(list(values[f"{arm} spread"][:, i] - values[arm][:, i]))
                for i, mark in enumerate(MARKS)
            }
            for arm in ("emonas", "emonas steady", "nsga2", "random")
        },
    }
    record(
        "emonas_start",
        result,
        packages=("pymoo", "moocore"),
        **({} if arguments.out is None else {"folder": arguments.out}),
    )


if __name__ == "__main__":
    main()
