"""Which network of a noisy search to take: the best value, the best after fresh trainings, or what a model expects.

NAS-Bench-201, one of three recorded trainings of a cell at a time as its validation accuracy. After a number of
queries, the regret of the mean validation accuracy, which was searched, and of the mean test accuracy is recorded for:
the best value measured; the best mean of K fresh trainings of the N best (`nasplug recommend --repeats K --top N`),
which are N x K further queries; the best value after as many further queries of the search; the model of the strategy,
where it has one (`bogk`); and the best cell among those that were queried, which nobody can know. Fresh trainings are
drawn from the same three, so that some of them are the one that chose the cell: real ones tell more.

Run: python benchmarks/recommend.py TABLES
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _inference import interval
from _record import record
from nasplug_bogk.strategy import BayesianOptimisation
from nasplug_tables import TabularBenchmark

import nasplug as nas

TABLES = {"cifar10": "nasbench201/cifar10.parquet", "cifar100": "nasbench201/cifar100.parquet"}
STRATEGIES = ("random", "regularized_evolution", "bogk")


def regrets(
    benchmark: TabularBenchmark, strategy: str, queries: int, top: int, repeats: int, seed: int
) -> dict[str, dict[str, float]]:
    """Regret of each way to choose, in points of mean validation and of mean test accuracy."""
    runs = np.stack([benchmark.table.column(f"val_acc_200_seed{i}").astype(np.float64) for i in range(3)])

    def search(trials: int, storage: Path) -> nas.Study:
        options = {"objectives": {"val_acc": "max"}, "batch": 1, "progress": False, "seed": seed}
        plugins = {"space": benchmark.space, "evaluator": benchmark, "strategy": strategy}
        return nas.search(**plugins, **options, trials=trials, storage=storage)

    with TemporaryDirectory() as folder:
        storage = Path(folder) / "study.sqlite"
        short = search(queries, storage)
        named = BayesianOptimisation().recommend(short) if strategy == "bogk" else None
        study = search(queries + top * repeats, storage)
    rows = np.array([benchmark.row(trial.architecture) for trial in study.trials])
    values = np.array([trial.values["val_acc"] for trial in study.trials])
    rng = np.random.default_rng(seed)
    order = np.argsort(-values[:queries], kind="stable")
    first = list(dict.fromkeys(rows[order].tolist()))[:top]
    means = [rng.choice(runs[np.isfinite(runs[:, row]), row], size=repeats).mean() for row in first]
    chosen = {
        "best_value": rows[order[0]],
        "fresh_trainings": first[int(np.argmax(means))],
        "best_value_at_equal_cost": rows[int(np.argmax(values))],
    }
    if named is not None:
        chosen["model"] = rows[named]
    found = {}
    for metric, truth in (("validation", np.nanmean(runs, axis=0)), ("test", benchmark.values("test_acc"))):
        found[metric] = {way: float(truth.max() - truth[row]) for way, row in chosen.items()}
        found[metric]["best_queried"] = float(truth.max() - truth[rows[:queries]].max())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, choices=STRATEGIES)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    summary: dict[str, dict] = {}
    for name, file in TABLES.items():
        benchmark = TabularBenchmark(arguments.tables / file)
        for strategy in arguments.strategies:
            rows = [
                regrets(benchmark, strategy, arguments.queries, arguments.top, arguments.repeats, seed)
                for seed in range(arguments.seeds)
            ]
            for metric in ("validation", "test"):
                each = {way: np.array([row[metric][way] for row in rows]) for way in rows[0][metric]}
                summary.setdefault(name, {}).setdefault(strategy, {})[metric] = {
                    "regret": {way: interval(found) for way, found in each.items()},
                    "gain_over_best_value": {
                        way: interval(each["best_value"] - found) for way, found in each.items() if way != "best_value"
                    },
                }
                shown = {way: round(float(found.mean()), 3) for way, found in each.items()}
                print(name, strategy, metric, shown, flush=True)
    settings = {"queries": arguments.queries, "top": arguments.top, "repeats": arguments.repeats}
    result = {"seeds": list(range(arguments.seeds)), "settings": settings, "summary": summary}
    record("recommend", result, packages=("scipy",), **({} if arguments.out is None else {"folder": arguments.out}))


if __name__ == "__main__":
    main()
