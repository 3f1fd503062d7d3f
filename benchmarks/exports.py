"""Every kind of task in every format: do exported networks reproduce the search's validation figures from raw files?

A small search of each task trains networks on files that are written here. The network of its best trial is exported in
every format that fits, and shown the raw validation files: by `nasplug predict`, and, for ONNX, by onnxruntime in code
that knows nothing of nasplug (Pillow, csv and NumPy read the files). Accuracies are counted from these answers and
compared with the number that the search recorded. Equal means the same number of right answers, or the same value up to
rounding in single precision.

Run: python benchmarks/exports.py [--task NAME ...]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from _record import record
from PIL import Image
from sklearn.datasets import load_digits

import nasplug as nas
from nasplug.export.exporter import Found
from nasplug.export.predictor import Predictor, data_files, open_network
from nasplug.plugins.component import Component, instantiate
from nasplug.plugins.discovery import discover

SEED = 0
COUNT, HELD_OUT = 600, 200
FORMATS = ("bundle", "folder", "onnx", "program")
#: A format whose answers may differ from the network's by a little; it is not counted.
NEAR = "darts_lp.qdq"
#: A recorded value and that of the answers may differ by this part; accuracies may not differ at all.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Case:
    """A task on files, and how the answers are scored.

    Attributes:
        task: Task of the search.
        files: Raw validation files.
        metric: Metric that the search recorded.
        score: Function from the answers, one row for each sample in the order of the files, to the metric.
        raw: Batches that onnxruntime gets, one for each file, read without nasplug; None where it is not compared.
        space: Search space.
        settings: Further arguments of the search.
        formats: Further formats.
    """

    task: Any
    files: list[Path]
    metric: str
    score: Callable[[np.ndarray], float]
    raw: Callable[[Path], np.ndarray] | None
    space: Any
    settings: dict[str, Any]
    formats: tuple[str, ...] = ()


CONV = nas.component("qnas.conv", nodes=3, width=0.25)
MLP = nas.component("tabular_mlp")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 16, 16) of type uint8, and their classes."""
    found = load_digits()
    order = np.random.default_rng(SEED).permutation(len(found.images))[:COUNT]
    return (np.kron(found.images[order], np.ones((2, 2))) * 15.9).astype(np.uint8), found.target[order]


def share(truth: np.ndarray) -> Callable[[np.ndarray], float]:
    """Share of right classes."""
    return lambda answers: float((answers.argmax(1) == truth).mean())


def image_case(
    folder: Path,
    save: Callable[[np.ndarray, int, Path], Path],
    read: Callable[[Path], np.ndarray],
    space: Any = CONV,
    **source: Any,
) -> Case:
    """Images in folders of their classes; files in the order of `nasplug predict`."""
    images, classes = digits()
    truth = {}
    for position, (image, label) in enumerate(zip(images, classes, strict=True)):
        target = folder / ("val" if position < HELD_OUT else "train") / f"class {label}"
        target.mkdir(parents=True, exist_ok=True)
        path = save(image, position, target / f"{position:04}")
        if position < HELD_OUT:
            truth[path] = int(label)
    files = data_files([folder / "val"], {next(iter(truth)).suffix})
    task = nas.component(
        "image_classification", data=nas.component("folder", path=str(folder), **source), training={"lr": 0.01}
    )
    return Case(task, files, "val_acc", share(np.array([truth[file] for file in files])), read, space, {})


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    """Writes an image."""
    image.save(path, **options)
    return path


def grey(path: Path) -> np.ndarray:
    """Pixels (1, 1, H, W)."""
    return np.asarray(Image.open(path))[None, None]


def rgb(path: Path) -> np.ndarray:
    """Pixels (1, 3, H, W)."""
    return np.moveaxis(np.asarray(Image.open(path).convert("RGB")), 2, 0)[None]


def grey_png(folder: Path) -> Case:
    """Grey PNG files of one size."""
    return image_case(folder, lambda image, _, path: saved(path.with_suffix(".png"), Image.fromarray(image)), grey)


def colour_jpeg_of_many_sizes(folder: Path) -> Case:
    """Colour JPEG files of many sizes: the network's file resizes."""

    def save(image: np.ndarray, position: int, path: Path) -> Path:
        colour = np.stack([image, 255 - image, np.roll(image, 1, 0)], -1)
        height, width = 14 + position % 9, 16 + position % 7
        return saved(path.with_suffix(".jpg"), Image.fromarray(colour).resize((width, height)), quality=92)

    return image_case(folder, save, rgb)


def deep_png(folder: Path) -> Case:
    """16-bit grey PNG files that hold 300 to 4095."""

    def save(image: np.ndarray, _: int, path: Path) -> Path:
        return saved(path.with_suffix(".png"), Image.fromarray(image.astype(np.uint16) * 15 + 300))

    return image_case(folder, save, lambda path: np.asarray(Image.open(path)).astype(np.float32)[None, None])


def transparent_png(folder: Path) -> Case:
    """Drawings in the alpha channel, which Pillow puts on white."""

    def save(image: np.ndarray, _: int, path: Path) -> Path:
        made = Image.new("LA", image.shape[::-1], 0)
        made.putalpha(Image.fromarray(image))
        return saved(path.with_suffix(".png"), made)

    def read(path: Path) -> np.ndarray:
        front = Image.open(path).convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", front.size, "white"), front).convert("L"))[None, None]

    return image_case(folder, save, read)


def timm_with_other_normalisation(folder: Path) -> Case:
    """Networks of timm on enlarged colour images."""

    def save(image: np.ndarray, _: int, path: Path) -> Path:
        return saved(path.with_suffix(".png"), Image.fromarray(np.stack([image] * 3, -1)))

    space = nas.component("timm", models=["lcnet_050"])
    return image_case(folder, save, rgb, space, size=32)


def quantised(folder: Path) -> Case:
    """Networks quantised to 4 bits."""
    made = grey_png(folder)
    wrapped = {"build": [nas.component("darts_lp.quantise", weight_bits=4, activation_bits=4)]}
    return replace(made, settings=wrapped, formats=("darts_lp.integer", NEAR))


def npz(folder: Path) -> Case:
    """Arrays in one file; the raw files are PNG of the validation images."""
    images, classes = digits()
    folder.mkdir(parents=True)
    np.savez(
        folder / "digits.npz",
        **{"x_train": images[HELD_OUT:], "y_train": classes[HELD_OUT:]},
        **{"x_val": images[:HELD_OUT], "y_val": classes[:HELD_OUT]},
    )
    files = [
        saved(folder / f"{position:04}.png", Image.fromarray(image)) for position, image in enumerate(images[:HELD_OUT])
    ]
    task = nas.component(
        "image_classification", data=nas.component("npz", path=str(folder / "digits.npz")), training={"lr": 0.01}
    )
    return Case(task, files, "val_acc", share(classes[:HELD_OUT]), grey, CONV, {})


def houses() -> Iterator[dict[str, Any]]:
    """Two numbers, a category, a price that follows from them, a kind of buyer and two labels."""
    rng = np.random.default_rng(SEED)
    for number in range(COUNT):
        area, age, kind = rng.uniform(20, 200), rng.uniform(0, 90), str(rng.choice(["flat", "house", "hut"]))
        price = 3000 * area - 500 * age + 90_000 * (kind == "house") + rng.normal(0, 20_000)
        yield {
            **{"area": round(area, 2), "kind": kind, "age": round(age, 1), "price": round(price, 2)},
            "buyer": "rich" if price > 400_000 else "some" if price > 200_000 else "poor",
            **{"dear": int(price > 300_000), "old": int(age + rng.normal(0, 10) > 45)},
            "split": "val" if number < HELD_OUT else "train",
        }


def write_table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def table_case(folder: Path, name: str, targets: tuple[str, ...], metric: str, score: Any) -> Case:
    """A table with a column that says which rows are for validation; another file holds those, without targets."""
    rows = list(houses())
    others = [key for key in ("price", "buyer", "dear", "old") if key not in targets]
    held_out = [row for row in rows if row["split"] == "val"]
    write_table(folder / "all.csv", rows)
    inputs = ("age", "kind", "area")  # in another order than that of the training
    raw = write_table(folder / "new.csv", [{key: row[key] for key in inputs} for row in held_out])
    source = {"path": str(folder / "all.csv"), "target": list(targets), "ignore": others, "split": "split"}
    if len(targets) == 1:
        source["target"] = targets[0]
    kinds = sorted({row["kind"] for row in rows})

    def read(path: Path) -> np.ndarray:
        with path.open() as file:
            found = list(csv.DictReader(file))
        return np.array(
            [[float(row["area"]), *(float(row["kind"] == kind) for kind in kinds), float(row["age"])] for row in found],
            np.float32,
        )

    task = nas.component(name, data=nas.component("table", **source))
    return Case(task, [raw], metric, score(held_out), read, MLP, {"epochs": 20})


def tabular(folder: Path) -> Case:
    """Classes of rows."""
    names = ["poor", "rich", "some"]
    return table_case(
        folder, "tabular", ("buyer",), "val_acc", lambda rows: share(np.array([names.index(r["buyer"]) for r in rows]))
    )


def regression(folder: Path) -> Case:
    """Values of rows, in units of the data."""

    def score(rows: list[dict[str, Any]]) -> Callable[[np.ndarray], float]:
        truth = np.array([[row["price"]] for row in rows])
        return lambda answers: float(np.sqrt(np.mean((answers - truth) ** 2)))

    return table_case(folder, "regression", ("price",), "val_rmse", score)


def multilabel(folder: Path) -> Case:
    """Labels of rows."""

    def score(rows: list[dict[str, Any]]) -> Callable[[np.ndarray], float]:
        truth = np.array([[row["dear"], row["old"]] for row in rows])
        return lambda answers: float(((answers >= 0) == truth).mean())

    return table_case(folder, "multilabel", ("dear", "old"), "val_acc", score)


def regression_of_images(folder: Path) -> Case:
    """Mean brightness of halves of images, in an .npz file; raw files are .npy arrays."""
    images, _ = digits()
    targets = np.stack([images[:, :8].mean((1, 2)), images[:, 8:].mean((1, 2))], 1).astype(np.float32)
    folder.mkdir(parents=True)
    np.savez(
        folder / "all.npz",
        **{"x_train": images[HELD_OUT:], "y_train": targets[HELD_OUT:]},
        **{"x_val": images[:HELD_OUT], "y_val": targets[:HELD_OUT]},
    )
    np.save(folder / "new.npy", images[:HELD_OUT])
    task = nas.component("regression", data=nas.component("table", path=str(folder / "all.npz")))
    truth = targets[:HELD_OUT].astype(np.float64)

    def score(answers: np.ndarray) -> float:
        return float(np.mean(np.sqrt(((answers - truth) ** 2).mean(0))))

    return Case(
        task, [folder / "new.npy"], "val_rmse", score, lambda path: np.load(path)[:, None].astype(np.float32), CONV, {}
    )


def segmentation(folder: Path) -> Case:
    """Masks of flat images; Dice is counted from the masks that are written."""
    rng = np.random.default_rng(SEED)
    truths = {}
    for position in range(24):
        split = "val" if position < 8 else "train"
        rows, columns = np.mgrid[:32, :32]
        y, x, radius = rng.uniform(9, 23), rng.uniform(9, 23), rng.uniform(4, 8)
        mask = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8)
        picture = (rng.normal(90, 25, (32, 32)) + 90 * mask).clip(0, 255).astype(np.uint8)
        for part, pixels in (("images", picture), ("masks", mask * 255)):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / split / part / f"{position:02}.png")
        if split == "val":
            truths[f"{position:02}"] = mask
    source = nas.component("mask_folder", path=str(folder), classes={"background": 0, "ball": 255})
    task = nas.component(
        "segmentation",
        data=source,
        dimensions=2,
        patches={"size": [32, 32], "batch_size": 8, "per_epoch": 64},
        folds={"test_fraction": 0},
        training={"lr": 0.01},
    )

    def score(answers: np.ndarray) -> float:
        truth = np.stack([truths[name] for name in sorted(truths)])
        common = (answers * truth).sum((1, 2))
        return float(np.mean(2 * common / (answers.sum((1, 2)) + truth.sum((1, 2)))))

    space = {"unet": {"max_depth": 1, "widths": [8], "repeats": [1], "blocks": ["conv"]}}
    files = data_files([folder / "val" / "images"], {".png"})
    return Case(task, files, "val_dice", score, None, space, {"epochs": 6})


CASES: dict[str, Callable[[Path], Case]] = {
    "grey PNG": grey_png,
    "colour JPEG of many sizes": colour_jpeg_of_many_sizes,
    "16-bit PNG": deep_png,
    "transparent PNG": transparent_png,
    "timm": timm_with_other_normalisation,
    "quantised to 4 bits": quantised,
    "npz": npz,
    "tabular": tabular,
    "regression": regression,
    "multilabel": multilabel,
    "regression of images": regression_of_images,
    "segmentation": segmentation,
}


def predicted(network: Path, case: Case, masks: Path) -> np.ndarray:
    """What `nasplug predict` answers: scores (N, channels), or masks (N, H, W) of 0 and 1."""
    predictor = open_network(network, trust=True)
    if not isinstance(predictor, Predictor):
        paths = [found.mask for found in predictor.predict(case.files, masks)]
        return np.stack([np.asarray(Image.open(path)) > 0 for path in paths]).astype(int)
    found = list(predictor.predict(case.files))
    rows = np.array([list(prediction.scores.values()) for prediction in found])
    return rows - 0.5 if found[0].answers == "labels" else rows


def seen(network: Path, case: Case) -> np.ndarray:
    """What onnxruntime answers to files that were read without nasplug."""
    assert case.raw is not None
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return np.concatenate([session.run(None, {given.name: case.raw(file)})[0] for file in case.files])


def judged(recorded: float, counted: float) -> dict[str, Any]:
    """A row of the record."""
    return {"value": counted, "equal": bool(abs(counted - recorded) <= ROUNDING * max(abs(recorded), 1e-3))}


def go(name: str, folder: Path) -> dict[str, Any]:
    """One task, all formats."""
    case = CASES[name](folder / "data")
    started = time.perf_counter()
    settings = {"trials": 2, "epochs": 6, **case.settings}
    study = nas.search(
        case.task,
        space=case.space,
        strategy="random",
        storage=str(folder / "study.sqlite"),
        seed=SEED,
        progress=False,
        **settings,
    )
    found = Found.of(study, study.best)
    catalog = discover(()).catalog
    recorded = float(study.best.metrics[case.metric])
    row: dict[str, Any] = {"metric": case.metric, "recorded": recorded, "files": len(case.files), "ways": {}}
    for kind in (*FORMATS, *case.formats):
        out = folder / kind
        out.mkdir()
        written = instantiate("exporter", Component(kind), catalog, where="exports").export(found, out)
        network = next((path for path in written.values() if path.suffix in (".onnx", ".pt2")), out)
        judgement = judged(recorded, case.score(predicted(network, case, folder / f"{kind} masks")))
        if kind == NEAR:
            row["near"] = judgement
            continue
        row["ways"][kind] = judgement
        if kind == "onnx" and case.raw is not None:
            row["ways"]["onnxruntime alone"] = judged(recorded, case.score(seen(network, case)))
    row["seconds"] = time.perf_counter() - started
    print(name, json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", choices=list(CASES), default=list(CASES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["NASPLUG_CACHE"] = str(Path(name) / "cache")
        with chdir(name):
            for position, task in enumerate(arguments.task):
                results[task] = go(task, Path(name) / str(position))
    ways = [way for row in results.values() for way in row["ways"].values()]
    found = {
        "seeds": [SEED],
        "note": "equal: the same number of right answers, or the same value up to rounding in single precision",
        "rounding": ROUNDING,
        "tasks": len(results),
        "ways": len(ways),
        "equal": sum(way["equal"] for way in ways),
        "results": results,
    }
    if len(results) == len(CASES):
        print(record("exports", found, packages=("onnxruntime",)).name)
    print(f"{found['equal']} of {found['ways']} ways give the recorded figure")


if __name__ == "__main__":
    main()
