"""Plugins that know nothing of each other, in one search; and searches for hardware against a front that is known.

`images`: Q-NAS proposes, the NPU prices latency, BOO counts the ones of the trained weights, and accuracy is that of
real trainings on Fashion-MNIST: three objectives and a hard bound on latency in one YAML file. Networks that break the
bound are never trained. One run goes through the command line and is repeated from Python, which must give the same
trials; random search gets as many proposals.

`hardware`: NAS-Bench-201 for validation accuracy and the latency that HW-NAS-Bench (arXiv 2103.10584) gives for
devices, as a target. All 15,625 cells are known, so that the hypervolume is a share of the true front's.

The data are not part of the project; give the folder that holds `fashion_mnist_12k`, `nasbench201` and `hwnasbench201`.
Runs on images are kept in `--work`, so that an interrupted benchmark goes on where it was.

Run: OMP_NUM_THREADS=1 python benchmarks/composition.py images DATA   (or hardware DATA)
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import yaml
from _record import record
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.table import Table

import nasplug as nas
from nasplug.cli import main as nasplug

SPEC = """
task:
  image_classification:
    data: {npz: {path: DATA}}
    limit: LIMIT
    batch_size: 32
    split: {val_fraction: 0.4}
    training: {lr: 0.01}
space: {qnas.conv: {nodes: 8, width: 0.125}}
strategy: STRATEGY
target: npu:wu32
costs:
  - npu
  - boo: {format: int8, code: sign_magnitude}
objectives: {val_acc: max, npu/latency_s: min, boo/ones: min}
constraints: ["npu/latency_s <= LATENCY"]
budget: {trials: TRIALS, epochs: EPOCHS}
run: {batch: 4, seed: SEED, storage: STORAGE}
"""
STRATEGIES = {
    "qnas": "{qnas: {evolution: {quantum_individuals: 4, repetition: 2, max_update: 0.3}}}",
    "random": "random",
}
#: Searches for hardware, by label.
SEARCHES: dict[str, Any] = {
    "emonas": nas.component("emonas", population=20, offspring=20),
    "regularized_evolution": nas.component("regularized_evolution", population_size=20),
    "random": nas.component("random"),
}
#: Two that were measured, and one that was modelled.
DEVICES = ("edgegpu", "raspi4", "eyeriss")
WORST_ACCURACY = 80.0


def specification(name: str, seed: int, arguments: argparse.Namespace, storage: Path) -> str:
    """The YAML file of one run."""
    text = SPEC
    values = {"DATA": arguments.data / "fashion_mnist_12k/fashion_mnist_12k.npz", "STRATEGY": STRATEGIES[name]}
    values |= {"LIMIT": arguments.limit, "EPOCHS": arguments.epochs, "TRIALS": arguments.trials}
    for word, value in (values | {"LATENCY": arguments.latency, "SEED": seed, "STORAGE": storage}).items():
        text = text.replace(word, str(value))
    return text


def by_command(text: str, file: Path) -> nas.Study:
    """Runs a file as a user of the command line does."""
    file.write_text(text)
    if nasplug(["run", str(file)]):
        raise SystemExit(f"nasplug run {file} failed")
    return nas.load_study(yaml.safe_load(text)["run"]["storage"])


def by_python(text: str) -> nas.Study:
    """The same search as a call."""
    spec = yaml.safe_load(text)
    budget, run = spec.pop("budget"), spec.pop("run")
    return nas.search(**spec, **budget, **run, progress=False)


def trials_of(study: nas.Study) -> list[Any]:
    """Everything about the trials but how long they took."""
    return [(t.architecture.key, t.state, dict(t.metrics), dict(t.costs), t.reason) for t in study.trials]


def account(study: nas.Study) -> dict[str, Any]:
    """What became of the trials of a run, and its front."""
    rejected = [trial for trial in study.trials if trial.state == "pruned"]
    assert all("boo/ones" not in t.costs and not t.metrics and not t.measurements for t in rejected)
    trained = [trial for trial in study.trials if trial.state == "complete" and trial.copied_from is None]
    front = [{o.name: trial.values[o.name] for o in study.objectives} for trial in study.pareto()]
    return {
        "trials": len(study.trials),
        "never_trained": len(rejected),
        "trained": len(trained),
        "repeated": sum(trial.copied_from is not None for trial in study.trials),
        "failed": sum(trial.state == "failed" for trial in study.trials),
        "seconds_per_training": float(np.mean([trial.seconds for trial in trained])),
        "seconds_per_rejection": float(np.mean([trial.seconds for trial in rejected if trial.copied_from is None])),
        "best_val_acc": max(point["val_acc"] for point in front),
        "front": front,
    }


def images(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both strategies over several seeds, on real images."""
    started = time.process_time()
    work, seeds = arguments.work, list(range(arguments.seeds))
    work.mkdir(parents=True, exist_ok=True)
    studies: dict[str, list[nas.Study]] = {name: [] for name in STRATEGIES}
    for seed in seeds:
        for name in STRATEGIES:
            text = specification(name, seed, arguments, work / f"{name}-{seed}.sqlite")
            studies[name].append(by_command(text, work / f"{name}-{seed}.yaml"))
    again = by_python(specification("qnas", 0, arguments, work / "qnas-0-python.sqlite"))
    found = {name: [account(study) for study in done] for name, done in studies.items()}
    # A corner that every network of a front lies before.
    ones = max(point["boo/ones"] for done in found.values() for one in done for point in one["front"])
    corner = {"val_acc": 0.1, "npu/latency_s": arguments.latency, "boo/ones": ones}
    volume = 0.9 * arguments.latency * ones
    for name, done in studies.items():
        for one, study in zip(found[name], done, strict=True):
            one["hypervolume"] = study.hypervolume(corner) / volume
    keys = ("never_trained", "trained", "repeated", "best_val_acc", "hypervolume")
    keys += ("seconds_per_training", "seconds_per_rejection")
    return {
        "seeds": seeds,
        "specification": yaml.safe_load(specification("qnas", 0, arguments, Path("study.sqlite"))) | {"task": None},
        "settings": {name: getattr(arguments, name) for name in ("trials", "epochs", "limit", "latency")},
        "reference": corner,
        "command_and_python_give_the_same_trials": trials_of(studies["qnas"][0]) == trials_of(again),
        "summary": {
            name: {key: float(np.mean([one[key] for one in done])) for key in keys}
            | {"front": float(np.mean([len(one["front"]) for one in done]))}
            for name, done in found.items()
        },
        "runs": found,
        "cpu_seconds": time.process_time() - started,
    }


class Cells:
    """All cells of NAS-Bench-201: mean validation accuracy (per cent), and latency on a device (seconds)."""

    def __init__(self, data: Path, device: str) -> None:
        self.space = NASBench201()
        self.accuracies, self.latencies = data / "nasbench201/cifar10.parquet", data / "hwnasbench201/cifar10.parquet"
        benchmark, hardware = TabularBenchmark(self.accuracies), Table.read(self.latencies)
        rows = benchmark.rows([self.space.from_code(code) for code in range(self.space.size())])
        column = hardware.column(f"{device}_latency").astype(np.float64)[np.argsort(hardware.column("index"))]
        latency = 1e-3 * column[benchmark.table.column("index")[rows]]
        #: By the code of a cell, to minimise: float64 (cells, 2). The reference: the worst that counts.
        self.points = np.stack([-benchmark.values("val_acc")[rows], latency], axis=1)
        self.reference = np.array([-WORST_ACCURACY, latency.max()])
        front = moocore.filter_dominated(self.points[self.points[:, 0] < -WORST_ACCURACY])
        self.front = {tuple(point) for point in front.tolist()}
        self.best = float(moocore.hypervolume(self.points, ref=self.reference))

    def share(self, points: Any) -> float:
        """Part of the true front's hypervolume that these points dominate."""
        return float(moocore.hypervolume(points, ref=self.reference)) / self.best


def hardware(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every search on every device; the same table for all."""
    started = time.process_time()
    seeds = list(range(100, 100 + arguments.seeds))
    marks = [n for n in (50, 100, 200) if n <= arguments.evaluations]
    result: dict[str, Any] = {}
    for device in DEVICES:
        cells = Cells(arguments.data, device)
        shares: dict[str, list[list[float]]] = {name: [] for name in SEARCHES}
        reached: dict[str, list[float]] = {name: [] for name in SEARCHES}
        for seed in seeds:
            for name, strategy in SEARCHES.items():
                study = nas.search(
                    space=cells.space,
                    evaluator=nas.component("tabular", path=str(cells.accuracies), metrics=["val_acc"], noise="mean"),
                    strategy=strategy,
                    target=f"table:{cells.latencies}#{device}",
                    costs=["target"],
                    objectives={"val_acc": "max", "table/latency_s": "min"},
                    trials=arguments.evaluations,
                    batch=20,
                    seed=seed,
                    progress=False,
                )
                values = [trial.values for trial in study.trials]
                points = np.array([[-value["val_acc"], value["table/latency_s"]] for value in values])
                codes = [cells.space.code(trial.architecture) for trial in study.trials]
                np.testing.assert_allclose(points, cells.points[codes], rtol=1e-12)  # the search saw this very table
                shares[name].append([cells.share(points[:mark]) for mark in marks])
                reached[name].append(len(cells.front & {tuple(p) for p in cells.points[codes].tolist()}))
        result[device] = {
            "true_front": len(cells.front),
            "reference": {"val_acc": WORST_ACCURACY, "latency_s": cells.reference[1]},
            "searches": {name: summary(marks, np.array(shares[name]), reached[name]) for name in SEARCHES},
            "shares": {name: np.round(found, 5).tolist() for name, found in shares.items()},
        }
        print(
            device, {n: round(s["mean"][str(marks[-1])], 4) for n, s in result[device]["searches"].items()}, flush=True
        )
    return {
        "seeds": seeds,
        "evaluations": marks,
        "devices": result,
        "cpu_seconds": time.process_time() - started,
    }


def summary(marks: list[int], shares: Any, reached: list[float]) -> dict[str, Any]:
    """Mean and standard error over seeds at every mark, and how much of the true front was met."""
    error = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    return {
        "mean": dict(zip(map(str, marks), shares.mean(axis=0).tolist(), strict=True)),
        "standard_error": dict(zip(map(str, marks), error.tolist(), strict=True)),
        "cells_of_the_true_front": float(np.mean(reached)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("images", "hardware"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=None, help="default: 3 on images, 20 for hardware")
    parser.add_argument("--trials", type=int, default=96, help="search on images")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=1000, help="images for training and validation")
    parser.add_argument("--latency", type=float, default=1e-4, help="bound in seconds")
    parser.add_argument("--evaluations", type=int, default=200, help="search for hardware")
    parser.add_argument("--work", type=Path, default=Path("runs/composition"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    if arguments.seeds is None:
        arguments.seeds = 3 if arguments.part == "images" else 20
    result = images(arguments) if arguments.part == "images" else hardware(arguments)
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record(f"composition_{arguments.part}", result, packages=("moocore",), **folder)


if __name__ == "__main__":
    main()
