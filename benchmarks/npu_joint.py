"""Networks and hardware searched together, beside the one and the other alone, with equally many evaluations.

Networks are the 15,625 cells of NAS-Bench-201 with their validation accuracy on CIFAR-10, hardware is a grid of 480
units around `wu32`, and the NPU model prices every network on every unit, so that the true front of all 7.5 million
pairs is known. Three objectives: accuracy, latency, area. What a search found is the hypervolume of all that it
evaluated, as a share of the true front's, with latency and area on logarithmic scales, and the accuracy that it found
within a bound on latency and area.

* `together`: the space `npu.with_unit` around `nasbench201`, in the YAML file that the record holds.
* `networks`: `nasbench201` on `wu32`.
* `hardware`: `npu.unit` for one network, the cell with the best accuracy of the table, which no search would know.
* `in turn`: half of the evaluations for networks on `wu32`, the other half for units for the most accurate one found.

The tables are not part of the project; give the folder that holds `nasbench201` and `cifar10_jpeg`.

Run: OMP_NUM_THREADS=1 python benchmarks/npu_joint.py DATA [--seeds N] [--evaluations N]
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import yaml
from _record import record
from nasplug_npu import NPU, Batch, area, preset
from nasplug_tables import TabularBenchmark
from nasplug_tables.spaces.nasbench201 import NASBench201
from scipy import stats

import nasplug as nas
from nasplug.cli import main as nasplug
from nasplug.testing import Shapes

AXES: dict[str, list[Any]] = {
    "macs": [8, 16, 32, 64, 128],
    "weight_kb": [4, 8, 16, 32],
    "input_kb": [8, 16, 32, 64],
    "act_bytes_per_cycle": [2, 4, 8],
    "weight_bytes_per_cycle": [2, 4],
}
BASE = "wu32_dense"
STRATEGIES: dict[str, Any] = {"random": "random", "emonas": {"emonas": {"population": 20, "offspring": 20}}}
OBJECTIVES = {"val_acc": "max", "npu/latency_s": "min", "npu/area_mm2": "min"}
WORST_ACCURACY = 80.0
#: A design that somebody might ask for: the most accurate network within this.
BOUND = {"latency_s": 5e-3, "area_mm2": 0.35}
MARKS = (50, 100, 200, 300)
Points = np.ndarray


class Truth:
    """All pairs: accuracy (C,), latency in seconds (C, U) and area (U,)."""

    def __init__(self, tables: Path, evaluations: int) -> None:
        self.marks = [mark for mark in MARKS if mark <= evaluations]
        self.space, task = NASBench201(), Shapes((3, 32, 32), 10)
        self.table = TabularBenchmark(tables / "nasbench201/cifar10.parquet", metrics=["val_acc"], noise="mean")
        cells = [self.table.architecture(row) for row in range(len(self.table.values("val_acc")))]
        self.accuracy = self.table.values("val_acc")
        self.best = cells[int(np.argmax(self.accuracy))]
        batch = Batch.of([self.space.workload(cell, task) for cell in cells])
        self.units = [
            preset(BASE).replace(**dict(zip(AXES, values, strict=True))) for values in product(*AXES.values())
        ]
        self.latency = np.stack([NPU(unit).many(batch)["latency_s"] for unit in self.units], axis=1)
        self.area = np.array([area(unit).total_mm2 for unit in self.units])
        ends = [self.latency.min(), self.latency.max(), self.area.min(), self.area.max()]
        self.low, self.span = np.log([ends[0], ends[2]]), np.log([ends[1] / ends[0], ends[3] / ends[2]])
        self.bound = BOUND
        every = [self.scaled(self.accuracy, self.latency[:, unit], size) for unit, size in enumerate(self.area)]
        each = [points[moocore.is_nondominated(points)] for points in every]
        together = np.concatenate(each)
        self.front = together[moocore.is_nondominated(together)]
        self.volume = moocore.hypervolume(self.front, ref=np.ones(3))
        within = (self.latency <= self.bound["latency_s"]) & (self.area <= self.bound["area_mm2"])
        self.best_within = float(self.accuracy[within.any(axis=1)].max())

    def scaled(self, accuracy: Points, latency: Points, size: Any) -> Points:
        """Points to minimise, (N, 3), of which those below one in every part count."""
        parts = [
            (100 - np.asarray(accuracy)) / (100 - WORST_ACCURACY),
            (np.log(latency) - self.low[0]) / self.span[0],
            np.broadcast_to((np.log(size) - self.low[1]) / self.span[1], np.shape(latency)),
        ]
        return np.stack(parts, axis=1)

    def judged(self, rows: Points) -> dict[str, Any]:
        """Share of the true front's hypervolume after some evaluations, and the best accuracy within the bound.

        Args:
            rows: Accuracy, latency and area of the evaluations in order, (N, 3).
        """
        points = self.scaled(rows[:, 0], rows[:, 1], rows[:, 2])
        after = {
            str(count): float(moocore.hypervolume(points[:count], ref=np.ones(3)) / self.volume) for count in self.marks
        }
        within = rows[(rows[:, 1] <= self.bound["latency_s"]) & (rows[:, 2] <= self.bound["area_mm2"]), 0]
        return {"after": after, "accuracy_within": float(within.max()) if len(within) else None}


def specification(space: Any, strategy: Any, table: Path, images: Path, trials: int, seed: int) -> dict[str, Any]:
    """The YAML file of a search that has networks; the images say how large an input is, nothing is trained."""
    return {
        "task": {"image_classification": {"data": {"npz": {"path": str(images)}}}},
        "space": space,
        "evaluator": {"tabular": {"path": str(table), "metrics": ["val_acc"], "noise": "mean"}},
        "strategy": strategy,
        "target": f"npu:{BASE}",
        "costs": ["npu"],
        "objectives": OBJECTIVES,
        "budget": {"trials": trials},
        "run": {"seed": seed},
    }


TOGETHER = {"npu.with_unit": {"space": "nasbench201", "base": BASE, "axes": AXES}}


def called(spec: dict[str, Any]) -> nas.Study:
    """The search of a specification."""
    parts = dict(spec)
    budget, run = parts.pop("budget"), parts.pop("run")
    return nas.search(**parts, **budget, **run, progress=False)


def rows_of(study: nas.Study) -> Points:
    """Accuracy, latency and area of every trial in order."""
    names = tuple(OBJECTIVES)
    return np.array([[trial.values[name] for name in names] for trial in study.trials if trial.state == "complete"])


def units_for(truth: Truth, cell: Any, folder: Path, strategy: Any, trials: int, seed: int) -> Points:
    """Hardware alone for one cell: its accuracy, and latency and area of the units asked for."""
    file = folder / f"cell-{seed}.json"
    file.write_text(json.dumps(truth.space.workload(cell, Shapes((3, 32, 32), 10)).to_json()))
    study = nas.search(
        space={"npu.unit": {"base": BASE, "axes": AXES}},
        evaluator={"npu": {"networks": str(file)}},
        strategy=strategy,
        objectives={"latency_s": "min", "area_mm2": "min"},
        trials=trials,
        seed=seed,
        progress=False,
    )
    accuracy = float(truth.accuracy[truth.table.row(cell)])
    done = [trial.metrics for trial in study.trials if trial.state == "complete"]
    return np.array([[accuracy, found["latency_s"], found["area_mm2"]] for found in done])


def some_images(data: Path, file: Path) -> Path:
    """A few images of CIFAR-10 as arrays."""
    from PIL import Image

    stored = np.load(data / "cifar10_jpeg/cifar10_jpeg.npz")
    header, payload, offsets = stored["header"].tobytes(), stored["payload_train"], stored["offsets_train"]
    labels = stored["y_train"][:200]
    pictures = [
        np.asarray(Image.open(io.BytesIO(header + payload[offsets[i] : offsets[i + 1]].tobytes()))) for i in range(200)
    ]
    np.savez(file, x_train=np.stack(pictures), y_train=labels, x_test=np.stack(pictures[:40]), y_test=labels[:40])
    return file


def interval(values: list[float]) -> dict[str, float]:
    """Mean, and the half width of its 95 % interval by Student's t."""
    array = np.array(values)
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return {"mean": float(array.mean()), "half_width": float(half)}


def summary(runs: dict[str, dict[str, list[dict[str, Any]]]], marks: list[str]) -> dict[str, Any]:
    """Means with intervals, and the paired differences of `together` to the others by the same seeds."""
    found: dict[str, Any] = {}
    for strategy, by_kind in runs.items():
        found[strategy] = {}
        for kind, each in by_kind.items():
            shares = {mark: [run["after"][mark] for run in each] for mark in marks}
            within = [run["accuracy_within"] for run in each if run["accuracy_within"] is not None]
            pairs = [run["after"][marks[-1]] for run in by_kind["together"]]
            lead = [ours - theirs for ours, theirs in zip(pairs, shares[marks[-1]], strict=True)]
            found[strategy][kind] = {
                "share": {mark: interval(values) for mark, values in shares.items()},
                "accuracy_within": float(np.mean(within)) if within else None,
                "runs_within": len(within),
                "lead_of_together": interval(lead),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=300)
    arguments = parser.parse_args()
    started, count = time.perf_counter(), arguments.evaluations
    truth = Truth(arguments.data, count)
    result: dict[str, Any] = {
        "seeds": list(range(arguments.seeds)),
        "evaluations": count,
        "cells": len(truth.accuracy),
        "units": len(truth.units),
        "pairs": truth.latency.size,
        "front": len(truth.front),
        "bound": truth.bound,
        "best_accuracy_within": truth.best_within,
        "seconds_of_all_pairs": time.perf_counter() - started,
    }
    print(result, flush=True)
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in STRATEGIES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = some_images(arguments.data, folder / "images.npz")
        table = arguments.data / "nasbench201/cifar10.parquet"
        for label, strategy in STRATEGIES.items():
            for seed in result["seeds"]:
                spec = specification(TOGETHER, strategy, table, images, count, seed)
                together = called(spec)
                alone = called(specification("nasbench201", strategy, table, images, count, seed))
                half = called(specification("nasbench201", strategy, table, images, count // 2, seed))
                first = rows_of(half)
                chosen = [trial for trial in half.trials if trial.state == "complete"][int(np.argmax(first[:, 0]))]
                then = units_for(truth, chosen.architecture, folder, strategy, count - count // 2, seed)
                found = {
                    "together": rows_of(together),
                    "networks": rows_of(alone),
                    "hardware": units_for(truth, truth.best, folder, strategy, count, seed),
                    "in turn": np.concatenate([first, then]),
                }
                for kind, rows in found.items():
                    runs[label].setdefault(kind, []).append(truth.judged(rows))
                print(label, seed, {kind: each[-1] for kind, each in runs[label].items()}, flush=True)
        spec = specification(TOGETHER, STRATEGIES["emonas"], table, images, 40, 0)
        file, storage = folder / "together.yaml", folder / "together.sqlite"
        file.write_text(yaml.safe_dump(spec | {"run": {"seed": 0, "storage": str(storage)}}, sort_keys=False))
        if nasplug(["run", str(file)]):
            raise SystemExit("nasplug run failed")
        same = np.array_equal(rows_of(nas.load_study(storage)), rows_of(called(spec)))
    shown = specification(TOGETHER, STRATEGIES["emonas"], Path("cifar10.parquet"), Path("images.npz"), count, 0)
    result |= {"specification": shown, "command_and_python_give_the_same_trials": same}
    result |= {"summary": summary(runs, [str(mark) for mark in truth.marks]), "runs": runs}
    result["seconds"] = time.perf_counter() - started
    print(record("npu_joint", result))


if __name__ == "__main__":
    main()
