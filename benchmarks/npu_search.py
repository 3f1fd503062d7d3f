"""How much of the front of a million units strategies find with half a per cent of the evaluations.

The whole grid is evaluated once, so that its front and hypervolume are known. The strategies search it through the
space `npu.unit` and the evaluator `npu`, as any study does. Hypervolume is that of the three objectives, each divided
by the largest value on the grid, up to the point (1, 1, 1). The layered exploration, which returns the exact front,
stands beside.

Run: python benchmarks/npu_search.py [--evaluations N] [--seeds N]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import moocore
import numpy as np
from _record import record
from nasplug_npu import area, explore, preset, sweep
from nasplug_npu.evaluator import UnitEvaluator
from nasplug_npu.networks import NETWORKS
from nasplug_npu.spaces import UnitSpace
from nasplug_npu.sweeping import grid

import nasplug as nas

OBJECTIVES = ("latency_s", "energy_j", "area_mm2")
NETWORK, DENSITY = "resnet8", 0.6
#: 1,008,000 units.
AXES: dict[str, list[Any]] = {
    "macs": [8, 16, 32, 64, 128, 256],
    "weight_kb": [2, 4, 8, 16, 32, 64, 128],
    "input_kb": [4, 8, 16, 32, 64, 128],
    "output_kb": [2, 4, 8, 16, 32],
    "act_bytes_per_cycle": [1, 2, 4, 8, 16],
    "weight_bytes_per_cycle": [1, 2, 4, 8],
    "input_port_bits": [128, 256, 512, 1024],
    "ppu_per_cycle": [1, 2, 4, 8, 16],
    "sparsity": ["none", "weight_skip"],
}
STRATEGIES: dict[str, Any] = {
    "random": "random",
    "emonas": {"emonas": {}},
    "optuna.nsga2": "optuna.nsga2",
}


def every_unit() -> tuple[np.ndarray, float]:
    """Objectives of all units that keep the rules and hold the network, and the seconds that they took."""
    workload, started, found = NETWORKS[NETWORK]().replace(weight_density=DENSITY), time.perf_counter(), []
    for points in grid(preset("wu32"), AXES):
        points = points.take(np.flatnonzero(points.valid()))
        costs = sweep(workload, points)
        values = np.stack([costs["latency_s"], costs["energy_j"], np.asarray(area(points).total_mm2)], axis=1)
        found.append(values[np.isfinite(values).all(axis=1)])
    return np.concatenate(found), time.perf_counter() - started


def searched(strategy: Any, evaluations: int, seed: int) -> tuple[np.ndarray, float]:
    """Objectives of all units that a strategy asked for, in order."""
    started = time.perf_counter()
    study = nas.search(
        space=UnitSpace("wu32", AXES),
        evaluator=UnitEvaluator(NETWORK, changes={"weight_density": DENSITY}),
        strategy=strategy,
        objectives=dict.fromkeys(OBJECTIVES, "min"),
        trials=evaluations,
        seed=seed,
    )
    rows = [[trial.metrics[name] for name in OBJECTIVES] for trial in study.trials if trial.state == "complete"]
    return np.array(rows), time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=5_000, help="number of trials of every search")
    parser.add_argument("--seeds", type=int, default=2, help="number of repetitions")
    arguments = parser.parse_args()
    values, seconds = every_unit()
    worst = values.max(axis=0)

    def volume(points: np.ndarray) -> float:
        return float(moocore.hypervolume(points / worst, ref=np.ones(3)))

    whole = volume(values)
    result: dict[str, Any] = {
        "seeds": list(range(arguments.seeds)),
        "network": f"{NETWORK}, weight density {DENSITY}",
        "axes": AXES,
        "units": int(np.prod([len(axis) for axis in AXES.values()])),
        "evaluated": len(values),
        "seconds_of_the_grid": seconds,
        "units_per_second": len(values) / seconds,
        "front": int(moocore.is_nondominated(values).sum()),
        "hypervolume": whole,
        "evaluations": arguments.evaluations,
        "share_of_the_grid": arguments.evaluations / len(values),
        "strategies": {},
    }
    print({key: result[key] for key in result if key != "axes"}, flush=True)
    started = time.perf_counter()
    layered = explore(NETWORKS[NETWORK]().replace(weight_density=DENSITY), preset("wu32"), AXES)
    result["layered"] = {
        "evaluated": layered.counts["evaluated"],
        "share_of_the_grid": layered.counts["evaluated"] / len(values),
        "seconds": time.perf_counter() - started,
        "hypervolume_share": volume(layered.values[:, [layered.objectives.index(name) for name in OBJECTIVES]]) / whole,
    }
    print(result["layered"], flush=True)
    for name, strategy in STRATEGIES.items():
        rows = []
        for seed in range(arguments.seeds):
            found, took = searched(strategy, arguments.evaluations, seed)
            marks = [count for count in (100, 300, 1000, 3000, 5000, 10_000) if count <= arguments.evaluations]
            rows.append(
                {
                    "complete": len(found),
                    "seconds": took,
                    "hypervolume_share": volume(found) / whole,
                    "after": {str(count): volume(found[:count]) / whole for count in marks},
                }
            )
            print(name, seed, rows[-1], flush=True)
            result["strategies"][name] = {
                "hypervolume_share": float(np.mean([row["hypervolume_share"] for row in rows])),
                "after": {mark: float(np.mean([row["after"][mark] for row in rows])) for mark in rows[0]["after"]},
                "runs": rows,
            }
            print(record("npu_search", {"seeds": [], **result}))


if __name__ == "__main__":
    main()
