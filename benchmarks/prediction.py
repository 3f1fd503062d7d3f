"""Whether the intervals of `nasplug predict-metric` hold what they promise, on tables.

A study of random cells, or one of regularized evolution, is the training set; the surrogate predicts random cells that
it has not seen, and what a training of them gives (on NAS-Bench-201 one of three, drawn) is looked up. Recorded are the
share that the intervals hold, how wide they are, the share without conformal scaling, and the rank correlation.

Run: python benchmarks/prediction.py TABLES
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _record import record
from nasplug_bogk.prediction import Surrogate
from nasplug_tables import TabularBenchmark
from scipy.stats import kendalltau

import nasplug as nas

TABLES = {
    "nasbench101": ("nasbench101/nasbench101.parquet", "test_acc"),
    "nasbench201_cifar10": ("nasbench201/cifar10.parquet", "val_acc"),
    "nasbench201_cifar100": ("nasbench201/cifar100.parquet", "val_acc"),
}


def measured(benchmark: TabularBenchmark, metric: str, strategy: str, size: int, fresh: int, seed: int) -> dict:
    """One study, and predictions of cells that are not in it."""

    def search(strategy: str, trials: int, seed: int) -> nas.Study:
        options = {"objectives": {metric: "max"}, "batch": 1, "progress": False}
        return nas.search(
            space=benchmark.space, evaluator=benchmark, strategy=strategy, trials=trials, seed=seed, **options
        )

    study = search(strategy, size, seed)
    surrogate = Surrogate(study, metric, level=0.9)
    seen = {trial.architecture.key for trial in study.trials}
    others = [t for t in search("random", fresh, 1000 + seed).trials if t.architecture.key not in seen]
    truth = np.array([trial.values[metric] for trial in others])
    found = surrogate.predict([trial.architecture for trial in others])
    low, mean, high = (np.array([getattr(p, name) for p in found]) for name in ("low", "mean", "high"))
    return {
        "held": float(((low <= truth) & (truth <= high)).mean()),
        "held_by_the_process_alone": surrogate.calibration.coverage,
        "median_width": float(np.median(high - low)),
        "kendall": float(kendalltau(mean, truth).statistic),
        "kendall_by_cross_validation": surrogate.calibration.kendall,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 150])
    parser.add_argument("--fresh", type=int, default=300)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    summary: dict[str, dict] = {}
    for name, (file, metric) in TABLES.items():
        benchmark = TabularBenchmark(arguments.tables / file)
        for strategy in ("random", "regularized_evolution"):
            for size in arguments.sizes:
                rows = [
                    measured(benchmark, metric, strategy, size, arguments.fresh, seed)
                    for seed in range(arguments.seeds)
                ]
                found = summary.setdefault(name, {}).setdefault(strategy, {})[str(size)] = {
                    key: {
                        "mean": float(np.mean([row[key] for row in rows])),
                        "standard_error": float(np.std([row[key] for row in rows], ddof=1) / np.sqrt(len(rows))),
                    }
                    for key in rows[0]
                }
                print(name, strategy, size, {key: round(value["mean"], 3) for key, value in found.items()}, flush=True)
    result = {
        "seeds": list(range(arguments.seeds)),
        "settings": {"level": 0.9, "fresh": arguments.fresh},
        "summary": summary,
    }
    record("prediction", result, packages=("scipy",), **({} if arguments.out is None else {"folder": arguments.out}))


if __name__ == "__main__":
    main()
