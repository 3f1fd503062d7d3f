"""Zero-cost proxies of cells of NAS-Bench-201: how well they rank accuracies, and whether published values are met.

Networks of half the benchmark's width with two instead of five cells a stage, untrained, in batches of 32 of CIFAR-10
(JPEG) and of noise. Rank correlations (Spearman) with the test accuracy after 200 epochs, with intervals by bootstrap
over cells, beside numbers of parameters and MACs; and with the values of NAS-Bench-Suite-Zero, which come from other
initial weights and batches. Cells are drawn from those that it has. Every cell is kept as it ends: an interrupted run
goes on.

Run: OMP_NUM_THREADS=1 python benchmarks/zerocost.py DATA   (the folder of the tables and of `cifar10_jpeg`)
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _record import RESULTS, record
from nasplug_tables import Table, TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_zerocost.cost import ZeroCost
from nasplug_zerocost.proxies import PROXIES
from scipy.stats import spearmanr

import nasplug as nas
from nasplug.cost.candidate import Candidate
from nasplug.cost.counts import count_macs, count_params
from nasplug.data.npz import Npz

SHAPE = (3, 32, 32)
NETWORK = {"channels": 8, "cells": 2}
BATCH = 32


def measured(benchmark: TabularBenchmark, row: int, task: Any, seed: int) -> dict[str, Any]:
    """All figures of one cell."""
    architecture = benchmark.architecture(row)
    torch.manual_seed(seed)
    network = NASBench201(**NETWORK).build(architecture, task)
    candidate = Candidate(lambda: network, SHAPE, architecture=architecture, task=task)
    found: dict[str, Any] = {"row": row, "params": count_params(network), "macs": count_macs(network, SHAPE)}
    for source, cost in COSTS.items():
        for name in PROXIES:
            started = time.perf_counter()
            cost.proxies = (name,)
            found[f"{source}/{name}"] = cost.cost(candidate, None)[f"zerocost/{name}"]
            found[f"{source}/{name}/seconds"] = time.perf_counter() - started
    return found


COSTS = {source: ZeroCost(proxies=("naswot",), source=source, size=BATCH) for source in ("task", "noise")}


def column_of(name: str) -> str:
    """Column of the published table for a proxy of ours, such as `task/naswot`."""
    proxy = name.rpartition("/")[2]
    return {"naswot": "nwot"}.get(proxy, proxy)


def correlation(one: list[float], other: list[float], rng: np.random.Generator, draws: int = 2000) -> dict[str, float]:
    """Spearman's rank correlation, with the middle 95 % of its bootstrap."""
    a, b = np.array(one), np.array(other)
    picks = rng.integers(len(a), size=(draws, len(a)))
    boot = np.array([spearmanr(a[pick], b[pick]).statistic for pick in picks])
    low, high = np.nanquantile(boot, [0.025, 0.975])
    return {"rho": float(spearmanr(a, b).statistic), "low": float(low), "high": float(high), "cells": len(a)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="seed of the cells, of their weights and of the intervals")
    parser.add_argument("--work", type=Path, default=Path("runs/zerocost"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    benchmark = TabularBenchmark(arguments.data / "nasbench201" / "cifar10.parquet")
    task = nas.ImageClassification(Npz(str(arguments.data / "cifar10_jpeg" / "cifar10_jpeg.npz")), limit=2000)
    published = Table.read(arguments.data / "zerocost201" / "zerocost_cifar10.parquet")
    rows = np.random.default_rng(arguments.seed).choice(published.column("index"), arguments.cells, replace=False)
    ours = Table.read(arguments.data / "nasbench201" / "cifar10.parquet").column("index")
    place = {int(index): row for row, index in enumerate(ours)}
    known = {int(index): row for row, index in enumerate(published.column("index"))}
    cells = []
    arguments.work.mkdir(parents=True, exist_ok=True)
    for number, index in enumerate(int(row) for row in rows):
        file = arguments.work / f"{arguments.seed}-{index}.json"
        if not file.is_file():
            file.write_text(json.dumps(measured(benchmark, place[index], task, arguments.seed)))
            print(number, index, flush=True)
        cells.append({"index": index, **json.loads(file.read_text())})
    rng = np.random.default_rng(arguments.seed)
    accuracy = [float(benchmark.values("test_acc")[cell["row"]]) for cell in cells]
    signs = [name for name in cells[0] if "/" in name and not name.endswith("seconds")]
    names = ["params", "macs", *signs]
    result = {
        "seeds": [arguments.seed],
        "settings": {"cells": len(cells), "batch": BATCH, "network": NETWORK},
        "accuracy": {name: correlation([cell[name] for cell in cells], accuracy, rng) for name in names},
        "published": {
            name: correlation(
                [cell[name] for cell in cells],
                [float(published.column(column_of(name))[known[cell["index"]]]) for cell in cells],
                rng,
            )
            for name in signs
        },
        "published_accuracy": {
            name: correlation(
                [float(published.column(column_of(name))[known[cell["index"]]]) for cell in cells], accuracy, rng
            )
            for name in PROXIES
        },
        "seconds": {name: float(np.median([cell[f"{name}/seconds"] for cell in cells])) for name in signs},
        "cells": [{k: v for k, v in cell.items() if not k.endswith("seconds")} for cell in cells],
    }
    for name in names:
        print(name, {key: round(value, 2) for key, value in result["accuracy"][name].items()})
    record("zerocost", result, packages=("torch", "scipy"), folder=arguments.out or RESULTS)


if __name__ == "__main__":
    main()
