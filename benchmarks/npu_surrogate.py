"""A surrogate that screens units for the model: what it says of its error, what it saves, and what it misses.

* `million`: the million units of `npu_search.py`, all of which are priced to know the front and the surrogate's errors.
* `searched tiles`: units whose tiles are searched (`tiling=search`), where pricing one takes a tenth of a second.

Hypervolume is that of the three objectives, each divided by the largest value on the grid, up to (1, 1, 1).

Run: OMP_NUM_THREADS=1 python benchmarks/npu_surrogate.py [--seeds N]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import moocore
import numpy as np
from _record import record
from nasplug_npu import Batch, area, explore, preset, sweep
from nasplug_npu.bounds import lower_bounds
from nasplug_npu.networks import NETWORKS
from nasplug_npu.surrogates import Surrogate
from nasplug_npu.sweeping import grid
from npu_search import AXES, DENSITY, NETWORK

OBJECTIVES = ("area_mm2", "latency_s", "energy_j")
SEARCHED: dict[str, list[Any]] = {
    "macs": [16, 32, 64, 128],
    "weight_kb": [4, 8, 16, 32],
    "input_kb": [8, 16, 32, 64],
    "output_kb": [4, 8, 16],
    "act_bytes_per_cycle": [2, 4, 8],
}
CASES = {
    "million": ("wu32", AXES, 2000),
    "searched tiles": ("wu32_dense,tiling=search", SEARCHED, 100),
}


def learned(
    sets: list[Any], bounds: list[np.ndarray], truth: list[np.ndarray], units: int, seed: int
) -> dict[str, Any]:
    """What a surrogate says of its errors, and what they are on all units."""
    surrogate = Surrogate(sets, bounds, seed)
    said = surrogate.learn(units, lambda number, members: truth[number][members])
    started = time.perf_counter()
    off = np.concatenate([surrogate.predict(number) / known[:, 1:] for number, known in enumerate(truth)])
    seconds = time.perf_counter() - started
    off = off[np.isfinite(off).all(axis=1)]
    return {
        "said": said.to_json(),
        "median": np.median(np.abs(off - 1), axis=0).tolist(),
        "ninth_decile": np.quantile(np.abs(off - 1), 0.9, axis=0).tolist(),
        "within_the_margin": np.mean(off <= np.array(said.margin), axis=0).tolist(),
        "predictions_per_second": len(off) / seconds,
    }


def case(name: str, seeds: list[int]) -> dict[str, Any]:
    """One grid: all units, then explorations with and without the surrogate."""
    base_name, axes, units = CASES[name]
    words = base_name.partition(",tiling=")
    base = preset(words[0]).replace(**({"tiling": words[2]} if words[2] else {}))
    workload = NETWORKS[NETWORK]().replace(weight_density=DENSITY)
    batch, sets, truth = Batch.of([workload]), [], []
    started = time.perf_counter()
    for points in grid(base, axes):
        points = points.take(np.flatnonzero(points.valid()))
        costs = sweep(batch, points)
        sets.append(points)
        truth.append(np.stack([np.asarray(area(points).total_mm2), costs["latency_s"], costs["energy_j"]], axis=1))
    seconds = time.perf_counter() - started
    bounds = [
        np.stack([known[:, 0], *lower_bounds(batch, points)], axis=1) for points, known in zip(sets, truth, strict=True)
    ]
    every = np.concatenate(truth)
    every = every[np.isfinite(every).all(axis=1)]
    worst = every.max(axis=0)

    def volume(points: np.ndarray) -> float:
        return float(moocore.hypervolume(points / worst, ref=np.ones(3)))

    found: dict[str, Any] = {
        "base": base_name,
        "units": len(every),
        "front": int(moocore.is_nondominated(every).sum()),
        "seconds_of_all": seconds,
        "runs": [],
    }
    whole = volume(every)
    print(name, found, flush=True)
    for seed in seeds:
        started = time.perf_counter()
        screened = explore(workload, base, axes, surrogate=units, seed=seed)
        seconds = time.perf_counter() - started
        asked = screened.counts["evaluated"]
        found["runs"].append(
            {
                "hypervolume_share": volume(screened.values) / whole,
                "front": len(screened.configs),
                "evaluated": asked,
                "share_of_the_units": asked / len(every),
                "seconds": seconds,
                **learned(sets, bounds, truth, units, seed),
            }
        )
        print(name, seed, found["runs"][-1], flush=True)
    for key in ("hypervolume_share", "share_of_the_units", "seconds", "front"):
        found[key] = float(np.mean([run[key] for run in found["runs"]]))
    found["least_hypervolume_share"] = min(run["hypervolume_share"] for run in found["runs"])
    for place, key in enumerate(("latency", "energy")):
        found[f"{key}_error"] = float(np.mean([run["median"][place] for run in found["runs"]]))
        found[f"{key}_error_said"] = float(np.mean([run["said"]["median"][place] for run in found["runs"]]))
        found[f"{key}_within_the_margin"] = min(run["within_the_margin"][place] for run in found["runs"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="cases to run")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    result: dict[str, Any] = {"seeds": seeds, "network": f"{NETWORK}, weight density {DENSITY}"}
    for name in arguments.cases:
        result[name.replace(" ", "_")] = case(name, seeds)
    print(record("npu_surrogate", result))


if __name__ == "__main__":
    main()
