"""Cells of NAS-Bench-201 scored with one training: does the evaluator `supernet` rank them as the benchmark does?

The cells are in small networks (one per stage, few channels), which are trained together for some epochs on a few
thousand images of CIFAR-10 (JPEG), 16 x 16 pixels by means of 2 x 2. Cells drawn at random are then scored, and ranked
beside their accuracies in the table of the benchmark: full networks, all images, 200 epochs. What else could rank them
without a training stands beside it: the number of parameters, and the number of convolutions. The table and the images
are not part of the project. Seeds that are done are kept in `--work` and not trained again.

Run: python benchmarks/supernet_cells.py --data cifar10_jpeg.npz --table cifar10.parquet
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from _continual import Part
from _inference import interval
from _record import by_seed, record
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
import nasplug.data


def scores(arguments: argparse.Namespace, cells: list[nas.Architecture], seed: int) -> dict[str, Any]:
    """Validation accuracy of the cells, each with its part of one supernet."""
    started = time.process_time()
    count = arguments.images + arguments.validation
    task = nas.ImageClassification(
        data=Part(str(arguments.data), count, None, halved=True),
        batch_size=64,
        split=nasplug.data.Split(val_fraction=arguments.validation / count),
        training=nas.Training(lr=arguments.lr),
    )
    study = nas.search(
        task,
        space=NASBench201(channels=arguments.channels, cells=1),
        evaluator=nas.component(
            "supernet", epochs=arguments.epochs, sampling=arguments.sampling, recalibrate=arguments.recalibrate
        ),
        enqueue=[cell.genotype for cell in cells],
        trials=len(cells),
        seed=seed,
        progress=False,
        rehearse=False,
    )
    return {
        "val_acc": [trial.metrics["val_acc"] for trial in study.trials],
        "cpu_seconds": time.process_time() - started,
    }


def agreement(first: Any, second: Any) -> dict[str, float]:
    """Rank correlations of two lists."""
    from scipy import stats

    return {
        "kendall": float(stats.kendalltau(first, second).statistic),
        "spearman": float(stats.spearmanr(first, second).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--table", type=Path, required=True, help="table of NAS-Bench-201, CIFAR-10")
    parser.add_argument("--images", type=int, default=4000, help="number of training images")
    parser.add_argument("--validation", type=int, default=1000, help="number of validation images")
    parser.add_argument("--channels", type=int, default=8, help="number of channels of the first stage")
    parser.add_argument("--epochs", type=int, default=20, help="number of epochs of the shared training")
    parser.add_argument("--sampling", default="single_path")
    parser.add_argument("--recalibrate", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--cells", type=int, default=150, help="number of cells to rank")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/supernet_cells"))
    parser.add_argument("--name", default="supernet_cells")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    benchmark = TabularBenchmark(arguments.table)
    rows = np.random.default_rng(11).choice(len(benchmark.table), arguments.cells, replace=False)
    cells = [benchmark.architecture(int(row)) for row in rows]
    truth = benchmark.values("test_acc")[rows]
    done = by_seed(arguments.work / "scores.json", arguments.seeds, lambda seed: scores(arguments, cells, seed))
    found = [np.array(each["val_acc"]) for each in done]
    rows_of = [agreement(values, truth) for values in found]
    good = truth >= np.median(truth)
    rows_good = [agreement(values[good], truth[good]) for values in found]
    convolutions = [sum(str(name).startswith("nor_conv") for name in cell.genotype) for cell in cells]  # type: ignore[union-attr]
    params = benchmark.table.column("params")[rows]
    between = [agreement(a, b) for at, a in enumerate(found) for b in found[:at]]
    measures = ("kendall", "spearman")
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "seeds": arguments.seeds,
        "with_table": {name: interval([row[name] for row in rows_of]) for name in measures},
        "with_table_better_half": {name: interval([row[name] for row in rows_good]) for name in measures},
        "between_supernets": {name: interval([row[name] for row in between]) for name in measures},
        "params_with_table": agreement(params, truth),
        "params_with_table_better_half": agreement(params[good], truth[good]),
        "convolutions_with_table": agreement(convolutions, truth),
        "best_of_cells": {
            "mean_of_table": float(truth.mean()),
            "highest_of_table": float(truth.max()),
            "by_supernet": [float(truth[values.argmax()]) for values in found],
            "by_params": float(truth[np.argmax(params)]),
        },
        "cpu_seconds": [each["cpu_seconds"] for each in done],
        "cells": [int(row) for row in rows],
        "scores": [values.tolist() for values in found],
    }
    print(json.dumps({key: result[key] for key in list(result)[2:-2]}, indent=1))
    if not arguments.dry:
        record(arguments.name, result, packages=("scipy",))


if __name__ == "__main__":
    main()
