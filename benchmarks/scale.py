"""How far one driver goes: alone, on a Ray cluster beside Ray Tune, and with a thousand simulated workers.

Parts can be run alone (`--part NAME`, several times); the record keeps the others as they are. All of them count trials
that cost nothing or sleep, so that what is left is the driver and the way to the workers.

- `throughput`: trials a second of random search that the driver goes through, in memory and in a study file.
- `simulation`: processor seconds of the driver per trial and per measurement, with a thousand workers on a simulated
  clock, beside the time that passes there.
- `ray`: efficiency of four workers on trials that sleep; start-up and time per trial beside Ray Tune (`reuse_actors`
  on, which is faster, and off, its default), with a trainable that does nothing, on one cluster, in one process.
- `memory`: main memory of a driver in the course of thousands of trials through Ray.
- `losses`: trials of a search in which a node and a worker are killed, beside those of a quiet one.
- `reattach`: trials that are trained again after the driver was killed, and what is left on the cluster.

Run: python benchmarks/scale.py
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _reattach import reattached
from _record import RESULTS, made, record
from _simulated import SimulatedExecutor

import nasplug as nas
from nasplug.ledger.storage import open_storage
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.loop import Search
from nasplug.run.spec import RunSpec
from nasplug.testing import SyntheticEvaluator, SyntheticSpace
from nasplug.testing.sleeping import SleepingEvaluator

WORKERS, NAP = 4, 1.0


class Clock(nas.Tracker):
    """When each trial was observed, in seconds since the start of the run."""

    def started(self, study: nas.StudyView, plan: Any) -> None:
        """Starts the clock."""
        self.began, self.times, self.memory = time.perf_counter(), [], []

    def observed(self, trial: nas.Trial) -> None:
        """Notes the time, and now and then the memory."""
        self.times.append(time.perf_counter() - self.began)
        if trial.number % 500 == 499:
            self.memory.append(resident())


def resident() -> int:
    """Main memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def throughput(trials: int, rounds: int = 3) -> dict[str, Any]:
    """Trials a second on a problem that costs nothing, in memory and in a file."""
    found: dict[str, list[float]] = {"memory": [], "durable": []}
    for seed in range(rounds):
        for kind in found:
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                nas.search(
                    space=SyntheticSpace(),
                    evaluator=SyntheticEvaluator(),
                    trials=trials,
                    seed=seed,
                    remeasure=True,
                    storage=None if kind == "memory" else Path(folder) / "s.sqlite",
                    progress=False,
                )
                found[kind].append(trials / (time.perf_counter() - started))
    return {
        "trials": trials,
        **{f"{kind}_trials_per_second": statistics.median(rates) for kind, rates in found.items()},
        "rounds": found,
    }


def simulated(workers: int, trials: int, steps: int, *, durable: bool, mean: float = 60.0) -> dict[str, float]:
    """Processor seconds of the driver beside simulated seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "s.sqlite") if durable else None
        spec = RunSpec.parse(
            {
                "space": {"class_path": "nasplug.testing.SyntheticSpace"},
                "evaluator": {"class_path": "nasplug.testing.SyntheticEvaluator"},
                "budget": {"trials": trials},
                "run": {
                    "workers": workers,
                    "batch": 2 * workers,
                    "executor": "process",
                    "storage": file,
                    "remeasure": True,
                },
            }
        )
        assembly = compose(spec, discover().catalog)
        executor, storage = SimulatedExecutor(mean, steps), open_storage(file)
        search = Search(assembly, assembly.ledger(folder=Path(folder) / "files"), storage, executor)
        started = time.process_time()
        search.run()
        spent = time.process_time() - started - executor.own
        storage.close()
    return {
        "workers": workers,
        "trials": trials,
        "measurements_per_trial": steps,
        "driver_seconds": spent,
        "simulated_seconds": executor.now,
        "driver_busy_share": spent / executor.now,
        "driver_ms_per_trial": 1000 * spent / trials,
    }


def simulation() -> dict[str, Any]:
    """A thousand workers, with and without measurements, and where one driver is busy all the time."""
    found: dict[str, Any] = {"trial_seconds": 60.0}
    for workers in (10, 100, 1000):
        found[f"workers_{workers}"] = simulated(workers, 5 * workers + 500, 0, durable=True)
    found["workers_1000_in_memory"] = simulated(1000, 5500, 0, durable=False)
    found["workers_1000_with_20_measurements"] = simulated(1000, 5500, 20, durable=True)
    plain = found["workers_1000"]["driver_ms_per_trial"] / 1000
    told = found["workers_1000_with_20_measurements"]["driver_ms_per_trial"] / 1000
    found["driver_ms_per_measurement"] = 1000 * (told - plain) / 20
    found["saturates_at_workers"] = 60.0 / plain
    found["saturates_at_workers_with_20_measurements"] = 60.0 / told
    return found


def on_ray(evaluator: Any, trials: int, workers: int = WORKERS, **keys: Any) -> tuple[nas.Study, Clock, float]:
    """A search on the cluster that this process is connected to: study, times, processor seconds of the driver."""
    clock, started = Clock(), time.process_time()
    study = nas.search(
        space=SyntheticSpace(),
        evaluator=evaluator,
        executor="ray",
        workers=workers,
        batch=2 * workers,
        trials=trials,
        trackers=[clock],
        remeasure=True,
        progress=False,
        **keys,
    )
    return study, clock, time.process_time() - started


def tuned(trials: int, *, reuse: bool) -> tuple[float, float]:
    """Ray Tune on a trainable that costs nothing: seconds until the first result, and per trial after it."""
    from ray import tune

    times: list[float] = []

    class Watch(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            """Notes the time."""
            times.append(time.perf_counter())

    def trainable(config: dict[str, float]) -> dict[str, float]:
        return {"score": config["x"]}

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=WORKERS, reuse_actors=reuse),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Watch()]),
        ).fit()
    return times[0] - started, (times[-1] - times[0]) / (len(times) - 1)


def ray_part(trials: int, tune_trials: int) -> dict[str, Any]:
    """Efficiency, and overheads beside Ray Tune."""
    _, clock, _ = on_ray(SleepingEvaluator(NAP), 20 * WORKERS)
    times = clock.times
    done = len(times) - WORKERS
    efficiency = done * NAP / (WORKERS * (times[-1] - times[WORKERS - 1]))
    _, quick, spent = on_ray(SyntheticEvaluator(), trials)
    ours = (quick.times[-1] - quick.times[0]) / (trials - 1)
    tune_start, theirs = tuned(tune_trials, reuse=True)
    _, fresh = tuned(tune_trials // 4, reuse=False)
    return {
        "efficiency": {"workers": WORKERS, "nap_seconds": NAP, "trials": len(times), "efficiency": efficiency},
        "per_trial": {
            "trials": trials,
            "tune_trials": tune_trials,
            "nasplug_ms": 1000 * ours,
            "nasplug_driver_processor_ms": 1000 * spent / trials,
            "tune_ms": 1000 * theirs,
            "tune_without_reuse_ms": 1000 * fresh,
            "ratio": ours / theirs,
        },
        "start_up": {
            "nasplug_seconds": quick.times[0],
            "tune_seconds": tune_start,
            "ratio": quick.times[0] / tune_start,
        },
    }


def memory(trials: int) -> dict[str, Any]:
    """Main memory of the driver, every 500 trials; and its growth in one process, by the trials of the study alone.

    The first study is kept until the second has ended, which would otherwise grow into the memory that it leaves.
    """
    alone, batch = Clock(), 2 * WORKERS
    kept = nas.search(
        space=SyntheticSpace(), evaluator=SyntheticEvaluator(), trials=trials, trackers=[alone], remeasure=True,
        progress=False, batch=batch,
    )  # fmt: skip
    gc.collect()
    before = resident()
    _, clock, spent = on_ray(SyntheticEvaluator(), trials)
    taken = clock.memory
    assert len(kept.trials) == trials
    return {
        "trials": trials,
        "before_mb": before / 1e6,
        "mb_every_500_trials": [value / 1e6 for value in taken],
        "growth_kb_per_trial": growth(taken),
        "growth_kb_per_trial_in_one_process": growth(alone.memory),
        "seconds": clock.times[-1],
        "driver_processor_ms_per_trial": 1000 * spent / trials,
    }


def growth(taken: list[int]) -> float:
    """Kilobytes per trial in the second half of a search."""
    half = len(taken) // 2
    return (taken[-1] - taken[half]) / 1e3 / (500 * (len(taken) - 1 - half))


class Killing(Clock):
    """Kills a node and a worker of the head in the middle of a search."""

    def __init__(self, cluster: Any, node: Any) -> None:
        self.cluster, self.node, self.killed = cluster, node, []

    def observed(self, trial: nas.Trial) -> None:
        """Kills the node after the ninth trial, and a worker after the 21st."""
        super().observed(trial)
        if trial.number == 8:
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.killed.append("node")
        if trial.number == 20:
            for pid in _workers_of_head():
                os.kill(pid, signal.SIGKILL)
                self.killed.append("worker")
                break


def _workers_of_head() -> list[int]:
    """Process identifiers of actors that run nasplug's workers on this machine."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"ray::Worker"):
                found.append(int(folder.name))
    return sorted(found)


def losses(cluster: Any, node: Any) -> dict[str, Any]:
    """The same search twice: with losses, and in this process alone."""
    killing = Killing(cluster, node)
    keys: dict[str, Any] = {"strategy": nas.component("regularized_evolution", population_size=6, tournament_size=3)}
    study = nas.search(
        space=SyntheticSpace(), evaluator=SleepingEvaluator(0.5), executor="ray", workers=6, batch=12, trials=60,
        trackers=[killing], progress=False, **keys,
    )  # fmt: skip
    alone = nas.search(
        space=SyntheticSpace(), evaluator=SleepingEvaluator(0.0), batch=12, trials=60, progress=False, **keys
    )

    def told(one: nas.Study) -> list[Any]:
        return [(trial.architecture.key, trial.seed, dict(trial.metrics)) for trial in one.trials]

    return {
        "killed": killing.killed,
        "trials": len(study.trials),
        "complete": sum(trial.state == "complete" for trial in study.trials),
        "identical_to_one_process": told(study) == told(alone),
    }


def main() -> None:
    """Runs the parts, and records them."""
    parts = ("throughput", "simulation", "ray", "memory", "losses", "reattach")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=parts, help="part to run; default: all")
    parser.add_argument("--trials", type=int, default=10_000, help="trials of the part `memory`")
    options = parser.parse_args()
    wanted = options.part or parts
    path = RESULTS / "scale.json"
    result: dict[str, Any] = {}
    if path.is_file():
        before = json.loads(path.read_text())
        result = {name: before[name] for name in parts if name in before}
    if "throughput" in wanted:
        result["throughput"] = throughput(3000)
    if "simulation" in wanted:
        result["simulation"] = simulation()
    if {"ray", "memory", "losses", "reattach"} & set(wanted):
        result |= clustered(wanted, options.trials)
    note = "two cores, shared with other work"
    record("scale", {"seeds": [0, 1, 2], "note": note, **result}, origin=made(("ray",)))


def clustered(wanted: Any, trials: int) -> dict[str, Any]:
    """The parts that need a cluster: two nodes of this machine, started once."""
    from nasplug_ray.cluster import import_ray

    ray = import_ray()
    from ray.cluster_utils import Cluster

    result: dict[str, Any] = {}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    started = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="WARNING")
    print(f"cluster after {time.perf_counter() - started:.0f} s", flush=True)
    try:
        if "ray" in wanted:
            result["ray"] = ray_part(1000, 60)
            print(json.dumps(result["ray"], indent=1), flush=True)
        if "memory" in wanted:
            result["memory"] = memory(trials)
            print(json.dumps(result["memory"], indent=1), flush=True)
        if "reattach" in wanted:
            with tempfile.TemporaryDirectory() as folder:
                result["reattach"] = reattached(cluster.address, Path(folder))
            print(json.dumps(result["reattach"], indent=1), flush=True)
        if "losses" in wanted:
            node = cluster.add_node(num_cpus=4)
            result["losses"] = losses(cluster, node)
            print(json.dumps(result["losses"], indent=1), flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return result


if __name__ == "__main__":
    main()
