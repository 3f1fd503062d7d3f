"""How long bogk thinks, on one core: about a proposal on NAS-Bench-101, and in a whole search of 150 queries.

Proposals are timed after 100 to 1,000 observations. `cold` is the first proposal of a strategy that has seen
nothing, as after a resume: all features, the fit of the parameters, the factorisation, the pool. `refit` is one that
knows the features and fits the parameters anew, as it happens whenever the observations have grown by a tenth. `warm`
is the mean of the proposals in between, of a batch. `run` is a search of 150 queries, one at a time, with everything
that the study loop does. The objective is synthetic, so that no table is needed.

Every time is recorded twice: `seconds` of the processor, which other work on the machine hardly changes, and
`wall_seconds`. The targets are in seconds of the processor, for the default kernel.

Run: OMP_NUM_THREADS=1 python benchmarks/bogk_speed.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _record import RESULTS, record
from nasplug_bogk.strategy import BayesianOptimisation

from nasplug.testing import run_search

KERNELS = ("wl", "sp", "rw", "gcn", "gcn_infinite", "gcn_infinite+rw")
TARGETS = {"warm_seconds_at_150": 0.1, "warm_seconds_at_1000": 0.5}


def timed(work: Callable[[], Any], name: str, count: int = 1) -> dict[str, float]:
    """Seconds per item, of the processor and of the wall."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return {f"{name}_seconds": round(processor / count, 3), f"{name}_wall_seconds": round(wall / count, 3)}


def proposals(kernel: str, size: int, repetitions: int) -> dict[str, float]:
    """One proposal after so many observations."""
    study = run_search("random", space="nasbench101", trials=size, epochs=1, seed=1)
    strategy = BayesianOptimisation(kernel)
    found = timed(lambda: strategy.propose(study, 1), "cold")
    count = 1 + repetitions  # the first one is the same again
    found |= timed(lambda: strategy.propose(study, count), "warm", count)
    strategy.load_state_dict({})
    return found | timed(lambda: strategy.propose(study, 1), "refit")


def search(kernel: str, queries: int) -> dict[str, float]:
    """A whole search."""
    strategy = BayesianOptimisation(kernel)
    return timed(lambda: run_search(strategy, space="nasbench101", trials=queries, epochs=1, batch=1, seed=1), "run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", nargs="+", default=KERNELS, choices=KERNELS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 150, 250, 500, 1000])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--keep", action="store_true", help="keep the recorded rows of kernels that are not run again")
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    search("wl", 12)  # imports, and the enumeration of the space
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for kernel in arguments.kernels:
        found = {str(size): proposals(kernel, size, arguments.repetitions) for size in arguments.sizes}
        found["run"] = search(kernel, arguments.queries)
        summary[kernel.replace("+", "_and_")] = found
        for name, times in found.items():
            print(f"{kernel:16s} {name:>4}  {times}", flush=True)
    settings: dict[str, Any] = {
        "repetitions": arguments.repetitions,
        "space": "nasbench101",
        "queries": arguments.queries,
    }
    before = (arguments.out or RESULTS) / "bogk_speed.json"
    if arguments.keep and before.is_file():
        kept = json.loads(before.read_text())
        dates = kept.get("rows_of", dict.fromkeys(kept["summary"], kept["date"]))
        settings["rows_of"] = {name: date for name, date in dates.items() if name not in summary}
        summary = kept["summary"] | summary
    result = {"seeds": [1], "settings": settings, "targets": TARGETS, "summary": summary}
    record("bogk_speed", result, packages=("scipy",), **({} if arguments.out is None else {"folder": arguments.out}))


if __name__ == "__main__":
    main()
