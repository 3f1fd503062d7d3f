"""How long bogk thinks about a proposal, on one core: after 100, 250 and 500 observations on NAS-Bench-101.

`cold` is the first proposal of a strategy that has seen nothing, as after a resume: all features, the fit of the
parameters, the factorisation, the pool. `warm` is the mean of the proposals after it, of a batch. The objective is
synthetic, so that no table is needed.

Run: OMP_NUM_THREADS=1 python benchmarks/bogk_speed.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from _record import record
from nasplug_bogk.strategy import BayesianOptimisation

from nasplug.testing import run_search

KERNELS = ("wl", "sp", "rw", "gcn", "gcn_infinite", "gcn_infinite+rw")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 250, 500])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for kernel in KERNELS:
        label = kernel.replace("+", "_and_")
        summary[label] = {}
        for size in arguments.sizes:
            study = run_search("random", space="nasbench101", trials=size, epochs=1, seed=1)
            strategy = BayesianOptimisation(kernel)
            started = time.process_time()
            strategy.propose(study, 1)
            cold = time.process_time()
            strategy.propose(study, 1 + arguments.repetitions)  # the first one is the same again
            warm = (time.process_time() - cold) / (1 + arguments.repetitions)
            summary[label][str(size)] = {"cold_seconds": round(cold - started, 3), "warm_seconds": round(warm, 3)}
            print(f"{kernel:16s} {size:4d}  {summary[label][str(size)]}", flush=True)
    folder = {} if arguments.out is None else {"folder": arguments.out}
    settings = {"repetitions": arguments.repetitions, "space": "nasbench101"}
    record("bogk_speed", {"seeds": [1], "settings": settings, "summary": summary}, packages=("scipy",), **folder)


if __name__ == "__main__":
    main()
