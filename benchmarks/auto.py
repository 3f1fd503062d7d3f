"""`nasplug auto` beside what a person would do instead with a folder of images, for the same wall time.

* `auto`: `nasplug auto`;
* `random`: the same plan, its space searched at random;
* `optuna_timm`: Optuna's TPE with its median pruner over six small models of timm and the learning rate, for the same
  part of the time, and the best trained for the rest;
* `timm_default`: timm's resnet18 for all the time.

Every network begins with random weights, as no hub can be reached. AutoGluon is not among the arms: its presets for
images fine-tune weights that it downloads, and without them it would not be what its authors configure.

Each arm has one process on one core and the same seconds of wall time, from its first import to its test; what it took
in truth is recorded. Arms take turns within a seed, so that a load of the machine hits all. The test part is used once
by each training that is recorded. Differences are paired by seed. Rows that are done are kept in `--work`, and
`--minutes` starts nothing after that time. Sets are folders, as `--make` writes them from archives.

Run: python benchmarks/auto.py --data covid_ct=covid_ct.npz --data fashion_mnist_12k=fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _inference import interval
from _record import RESULTS, record

ARMS = ("auto", "random", "optuna_timm", "timm_default")
#: Images of CIFAR-10 that are taken for training and for the test.
TRAIN, TEST = 5000, 2000


def parts_of(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (N, H, W) or (N, H, W, 3) of levels and labels (N,) of each part of an archive."""
    with np.load(path) as file:
        if "split" in file.files:
            x, y, split = file["x"], file["y"], file["split"]
            return {name: (x[split == at], y[split == at]) for at, name in enumerate(("train", "val", "test"))}
        if "payload_train" in file.files:
            return {name: _decoded(file, name, count) for name, count in (("train", TRAIN), ("test", TEST))}
        return {name: (file[f"x_{name}"], file[f"y_{name}"]) for name in ("train", "test")}


def _decoded(file: Any, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    header, payload, offsets = file["header"].tobytes(), file[f"payload_{part}"], file[f"offsets_{part}"]
    each = [header + payload[offsets[at] : offsets[at + 1]].tobytes() for at in range(count)]
    return np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in each]), file[f"y_{part}"][:count]


def make(path: Path, folder: Path) -> dict[str, int]:
    """Writes the images of an archive as files, a folder for each part and class; returns the size of each part."""
    from PIL import Image

    sizes = {}
    for part, (x, y) in parts_of(path).items():
        sizes[part] = len(y)
        for at, (image, label) in enumerate(zip(x, y, strict=True)):
            home = folder / part / f"class_{int(label)}"
            home.mkdir(parents=True, exist_ok=True)
            if not (home / f"{at:05d}.png").is_file():
                Image.fromarray(image).save(home / f"{at:05d}.png")
    return sizes


def summary(rows: dict[str, Any], sets: list[str], seeds: list[int]) -> dict[str, Any]:
    """Means over seeds, and how far `auto` is ahead of each arm, paired by seed."""
    found: dict[str, Any] = {}
    for data in sets:
        arms: dict[str, Any] = {}
        for arm in ARMS:
            done = [rows[key] for seed in seeds if (key := f"{data} {seed} {arm}") in rows]
            paired = [
                rows[ours]["test_acc"] - rows[theirs]["test_acc"]
                for seed in seeds
                if (ours := f"{data} {seed} auto") in rows and (theirs := f"{data} {seed} {arm}") in rows
            ]
            if done:
                arms[arm] = {
                    "test_acc": interval([row["test_acc"] for row in done]),
                    "params": float(np.median([row["params"] for row in done])),
                    "seconds": float(np.mean([row["seconds"] for row in done])),
                    "seeds": len(done),
                    "auto_ahead": interval(paired) if paired and arm != "auto" else None,
                }
        if arms:
            found[data] = arms
    return found


def main() -> None:
    """Runs what is not done yet, and records everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--name", default="auto", help="name of the record")
    parser.add_argument("--work", type=Path, default=Path("auto_work"))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    kept = arguments.work / "rows.json"
    rows: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    began = time.monotonic()
    given = dict(item.split("=", 1) for item in arguments.data)
    sizes = {name: make(Path(path), arguments.work / name) for name, path in given.items()}
    seeds = list(range(arguments.seeds))
    for seed in seeds:
        for data in given:
            for arm in ARMS:
                key = f"{data} {seed} {arm}"
                if key in rows or time.monotonic() - began > 60 * arguments.minutes:
                    continue
                out = arguments.work / "runs" / key.replace(" ", "_")
                command = [sys.executable, str(Path(__file__).with_name("_auto_arms.py")), arm]
                command += [str(arguments.work / data), str(arguments.seconds), str(seed), str(out)]
                with (arguments.work / "log.txt").open("a") as log:
                    subprocess.run(command, check=True, stdout=log, stderr=log)
                rows[key] = json.loads((out / "answer.json").read_text())
                kept.write_text(json.dumps(rows, indent=1))
                print(key, rows[key], flush=True)
    settings = {"seconds": arguments.seconds, "images": sizes, "cores": 1}
    result = {
        "settings": settings,
        "seeds": seeds,
        "summary": summary(rows, list(given), seeds),
        "not_run": [
            {"arm": "autogluon", "why": "its presets for images fine-tune weights that it downloads"},
            *(
                {"arm": arm, "data": data, "seed": seed, "why": "out of time"}
                for seed in seeds
                for data in given
                for arm in ARMS
                if f"{data} {seed} {arm}" not in rows
            ),
        ],
        "rows": rows,
    }
    record(arguments.name, result, folder=arguments.folder)
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
