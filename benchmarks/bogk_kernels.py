"""How well the kernels of bogk order architectures they have not seen: rank correlations on NAS-Bench-101.

Training and test cells are drawn uniformly from the table, anew in every repetition and the same for all kernels. The
target is the mean test accuracy of three trainings; the process sees -log(1 - accuracy), standardised. The table is not
part of the project; give its file.

Run: python benchmarks/bogk_kernels.py nasbench101.parquet
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from _record import record
from nasplug_bogk.fitting import fit
from nasplug_bogk.kernels import make_kernel
from nasplug_tables import TabularBenchmark
from scipy.stats import kendalltau, spearmanr

#: Label -> kernel and shape. The linear ones are the cosine kernels of the literature.
KERNELS = {
    "wl": ("wl", "matern52"),
    "wl_linear": ("wl", "linear"),
    "sp": ("sp", "matern52"),
    "sp_linear": ("sp", "linear"),
    "rw": ("rw", "matern52"),
    "rw_linear": ("rw", "linear"),
    "gcn": ("gcn", "matern52"),
    "gcn_infinite": ("gcn_infinite", "matern52"),
    "gcn_infinite_and_rw": ("gcn_infinite+rw", "matern52"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 50, 100, 250, 500])
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--only", nargs="+", help="labels")
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    benchmark = TabularBenchmark(arguments.table)
    accuracy = benchmark.values("test_acc")
    chosen = {label: made for label, made in KERNELS.items() if not arguments.only or label in arguments.only}
    found: dict[str, dict[int, list[tuple[float, float, float]]]] = {label: {} for label in chosen}
    largest = max(arguments.sizes)
    seeds = list(range(arguments.first_seed, arguments.first_seed + arguments.repetitions))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(accuracy), largest + arguments.test, replace=False)
        graphs = [benchmark.space.graph(benchmark.architecture(int(row))) for row in rows]
        truth = accuracy[rows[largest:]]
        for label, (name, shape) in chosen.items():
            kernel = make_kernel(name, shape)
            for size in arguments.sizes:
                errors = -np.log(1.0 - accuracy[rows[:size]])
                started = time.process_time()
                process = fit(kernel, graphs[:size], (errors - errors.mean()) / errors.std())
                predicted = process.mean(graphs[largest:])
                seconds = time.process_time() - started
                numbers = (float(spearmanr(predicted, truth)[0]), float(kendalltau(predicted, truth)[0]), seconds)
                found[label].setdefault(size, []).append(numbers)
        print(f"{seed - arguments.first_seed + 1}/{arguments.repetitions}", flush=True)
    summary = {
        label: {str(size): _summary(numbers) for size, numbers in sizes.items()} for label, sizes in found.items()
    }
    for label, sizes in summary.items():
        print(f"{label:20s}", "  ".join(f"{n}: {s['spearman']:.3f} / {s['kendall']:.3f}" for n, s in sizes.items()))
    folder = {} if arguments.out is None else {"folder": arguments.out}
    settings = {
        "table": arguments.table.name,
        "test": arguments.test,
    }
    record("bogk_kernels", {"seeds": seeds, "settings": settings, "summary": summary}, packages=("scipy",), **folder)


def _summary(numbers: list[tuple[float, float, float]]) -> dict[str, float]:
    values = np.array(numbers)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(3)
    return {
        "spearman": round(float(values[:, 0].mean()), 4),
        "spearman_error": round(float(error[0]), 4),
        "kendall": round(float(values[:, 1].mean()), 4),
        "kendall_error": round(float(error[1]), 4),
        "cpu_seconds": round(float(values[:, 2].mean()), 3),
    }


if __name__ == "__main__":
    main()
