"""Strategies that begin with short trainings, beside whole ones, at equal epochs: NAS-Bench-201.

The table has every cell after 12 epochs, with a schedule of its own, and after 200. A strategy pays the epochs of each
of its trials, also those of a promotion from 12 to 200, which is a training of its own in this table. What counts is
the mean test accuracy of the cell that looked best so far among the whole trainings (among the short ones, as long as
there are no others), as regret after as many epochs as some whole trainings have. Searches see one training run's
validation accuracy. Rungs lie at 12 and 200 epochs, so that `eta` is 17, the ratio of the two. `freeze_thaw` needs
results between the two and is left out.

The tables are not part of the project; give the folder that holds `nasbench201/cifar10.parquet` and `cifar100.parquet`.

Run: python benchmarks/multi_fidelity.py TABLES
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from _inference import holm
from _record import RESULTS, record
from nasplug_tables import TabularBenchmark

import nasplug as nas

SHORT, WHOLE = 12, 200
RUNGS: dict[str, Any] = {"eta": 17, "min_epochs": SHORT, "max_epochs": WHOLE}
EVOLUTION = nas.component("regularized_evolution")
#: By label: the strategy, and whether it trains all networks for the whole time.
STRATEGIES = {
    "random": (nas.component("random"), True),
    "regularized_evolution": (EVOLUTION, True),
    "local_search": (nas.component("local_search"), True),
    "successive_halving": (nas.component("successive_halving", **RUNGS), False),
    "hyperband": (nas.component("hyperband", **RUNGS), False),
    "asha": (nas.component("asha", **RUNGS), False),
    "bohb": (nas.component("bohb", **RUNGS), False),
    "asha over evolution": (nas.component("asha", inner=EVOLUTION, **RUNGS), False),
    "hyperband over evolution": (nas.component("hyperband", inner=EVOLUTION, **RUNGS), False),
}
#: Numbers of whole trainings whose epochs have been spent when curves are read.
MARKS = (20, 50, 100, 150)


def curve(benchmark: TabularBenchmark, label: str, most: int, seed: int) -> tuple[list[float], dict[str, int]]:
    """Regret at the marks up to `most` whole trainings, in percentage points, and how many trainings there were."""
    strategy, whole = STRATEGIES[label]
    study = nas.search(
        None,
        space=benchmark.space,
        evaluator=benchmark,
        strategy=strategy,
        objectives={"val_acc": "max"},
        trials=most if whole else most * WHOLE // SHORT,
        epochs=WHOLE,
        batch=1,
        seed=seed,
        progress=False,
    )
    test = benchmark.values("test_acc")
    optimum = float(np.nanmax(test))
    marks = [mark for mark in MARKS if mark <= most]
    found: list[float] = []
    spent, counts = 0, {"short": 0, "whole": 0}
    best: tuple[bool, float] = (False, -np.inf)
    chosen = np.nan
    for trial in study.trials:
        epochs = study.budget_of(trial).epochs
        while len(found) < len(marks) and spent + epochs > marks[len(found)] * WHOLE:
            found.append(optimum - chosen)
        if len(found) == len(marks):
            break
        spent += epochs
        counts["whole" if epochs == WHOLE else "short"] += 1
        here = (epochs == WHOLE, trial.metrics["val_acc"])
        if here > best:
            best, chosen = here, float(test[benchmark.row(trial.architecture)])
    found += [optimum - chosen] * (len(marks) - len(found))
    return found, counts


def row(runs: list[tuple[list[float], dict[str, int]]], marks: list[int], seconds: float) -> dict[str, Any]:
    """What is kept of one strategy."""
    regret = np.array([values for values, _ in runs])
    return {
        "regret": {
            str(mark): {
                "mean": round(float(regret[:, at].mean()), 4),
                "standard_error": round(float(regret[:, at].std(ddof=1) / len(regret) ** 0.5), 4),
                "median": round(float(np.median(regret[:, at])), 4),
                "runs": [round(float(value), 4) for value in regret[:, at]],
            }
            for at, mark in enumerate(marks)
        },
        "short_trainings": float(np.mean([counts["short"] for _, counts in runs])),
        "whole_trainings": float(np.mean([counts["whole"] for _, counts in runs])),
        "seconds_per_run": round(seconds / len(runs), 2),
    }


def chances(rows: dict[str, Any], against: str, mark: int) -> dict[str, float]:
    """Corrected one-sided probabilities that a row is so far below another one by chance."""
    from scipy.stats import mannwhitneyu

    def runs(label: str) -> list[float]:
        found: list[float] = rows[label]["regret"][str(mark)]["runs"]
        return found

    others = [label for label in rows if label != against]
    return holm({o: float(mannwhitneyu(runs(o), runs(against), alternative="less").pvalue) for o in others})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--trainings", type=int, default=150, help="whole trainings whose epochs are spent")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON; default: results beside it")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    marks = [mark for mark in MARKS if mark <= arguments.trainings]
    found: dict[str, Any] = {}
    for data in ("cifar10", "cifar100"):
        path = arguments.tables / "nasbench201" / f"{data}.parquet"
        benchmark = TabularBenchmark(path, metrics=["val_acc"], schedule="budget")
        rows: dict[str, Any] = {}
        for label in STRATEGIES:
            started = time.perf_counter()
            runs = [curve(benchmark, label, arguments.trainings, seed) for seed in seeds]
            rows[label] = row(runs, marks, time.perf_counter() - started)
            print(data, label, {m: rows[label]["regret"][str(m)]["mean"] for m in marks}, flush=True)
        found[data] = {
            "rows": rows,
            "p_below_random": {str(mark): chances(rows, "random", mark) for mark in marks},
            "p_below_evolution": {str(mark): chances(rows, "regularized_evolution", mark) for mark in marks},
        }
    settings = {"epochs": [SHORT, WHOLE], "trainings": arguments.trainings, "rungs": RUNGS, "noise": "draw"}
    result = {"settings": settings, "seeds": list(seeds), "summary": found}
    record("multi_fidelity", result, packages=("scipy",), folder=arguments.out)


if __name__ == "__main__":
    main()
