"""Growth of a VGG-16 of an eighth of the width, beside the whole one and a narrow one, by the work of their trainings.

CIFAR-10 (JPEG), a part of the images. The whole network is trained for some epochs; growth to a fifth of its
parameters, and the uniformly narrow network of that size, for as many as `--share` of its work pays. `cgap` alone is
growth for the epochs of the whole network; `cgap-half` begins with half of the widths. Latency is that of one image:
estimated for an accelerator, and measured on this machine by turns, the median.

Figures are on test images, by which nothing is chosen. Sizes are for one core: accuracies are far below those of full
trainings, and compare rows only. Every row is kept in `--work` as it ends.

Run: OMP_NUM_THREADS=1 python benchmarks/growth_vgg.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from _continual import kept, mean_sd
from _growth_training import SHAPE, Recipe, built, nearest_width, train
from _record import record

from nasplug.cost.counts import count_macs

ROWS = ("full", "cgap", "cgap_long", "cgap-half", "cgap-half_long", "uniform_long")
FIGURES = ("params", "macs", "work", "npu_latency", "cpu_latency")


def row(name: str, seed: int, recipe: Recipe, folder: Path, share: float) -> dict[str, Any]:
    """One row, trained if it is not kept; the long ones need the others of their seed."""

    def other(name: str) -> dict[str, Any]:
        return row(name, seed, recipe, folder, share)

    def make() -> dict[str, Any]:
        width = epochs = None
        if name.endswith("_long"):
            allowed = share * other("full")["work"]
            grown = other("cgap" if name == "uniform_long" else name.removesuffix("_long"))
            if name == "uniform_long":
                width = nearest_width(recipe, grown["params"])
                images = (recipe.limit or 50000) // recipe.batch * recipe.batch
                per_epoch = 6.0 * count_macs(built(recipe, width), SHAPE) * images
            else:
                per_epoch = grown["work"] / recipe.epochs
            epochs = max(1, round(allowed / per_epoch))
        found = train(name.removesuffix("_long"), seed, recipe, width, epochs)
        found["npu_latency"] = found.pop("npu")["latency_s"]
        print(name, seed, {key: found[key] for key in ("epochs", "test_acc", "params", "macs", "work")}, flush=True)
        return found | {"method": name}

    return kept(folder / f"{name}-{seed}.json", make)


def timed(found: list[dict[str, Any]], recipe: Recipe, rounds: int = 15) -> None:
    """Adds the measured latency of every row: all networks by turns, so that the machine is as busy for each."""
    networks = [shaped(recipe, item["widths"]).eval() for item in found]
    image, seconds = torch.zeros(1, *SHAPE), [list[float]() for _ in found]
    torch.set_num_threads(1)
    with torch.inference_mode():
        for number in range(rounds + 2):
            for network, times in zip(networks, seconds, strict=True):
                started = time.perf_counter()
                network(image)
                if number >= 2:
                    times.append(time.perf_counter() - started)
    for item, times in zip(found, seconds, strict=True):
        item["cpu_latency"] = statistics.median(times)


def shaped(recipe: Recipe, widths: list[int]) -> torch.nn.Module:
    """A VGG with the given widths of its convolutions."""
    layers, before, left = [], 3, list(widths)
    for layer in built(recipe, recipe.width):
        if isinstance(layer, torch.nn.Conv2d):
            layers.append(torch.nn.Conv2d(before, left[0], 3, padding=1, bias=False))
            before = left.pop(0)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            layers.append(torch.nn.BatchNorm2d(before))
        elif isinstance(layer, torch.nn.Linear):
            layers.append(torch.nn.Linear(before, 10))
        else:
            layers.append(layer)
    return torch.nn.Sequential(*layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--keep", type=float, default=0.21, help="share of the parameters to end with")
    parser.add_argument("--share", type=float, default=0.68, help="work of the long rows, of the whole network's")
    parser.add_argument("--work", type=Path, default=Path("runs/growth_vgg"))
    arguments = parser.parse_args()
    recipe = Recipe(
        data=arguments.data, network="vgg", width=arguments.width, keep=arguments.keep, epochs=arguments.epochs,
        batch=64, lr=0.05, limit=arguments.limit, precision="32-true",
    )  # fmt: skip
    settings = {key: getattr(arguments, key) for key in ("limit", "epochs", "width", "keep", "share")}
    folder = arguments.work / "-".join(map(str, settings.values()))
    runs = [row(name, seed, recipe, folder, arguments.share) for seed in arguments.seeds for name in ROWS]
    timed(runs, recipe)
    full = {run["seed"]: run for run in runs if run["method"] == "full"}
    summary = {}
    for name in ROWS:
        some = [run for run in runs if run["method"] == name]
        summary[name] = {
            "test_acc": mean_sd([run["test_acc"] for run in some]),
            "test_acc_minus_full": mean_sd([run["test_acc"] - full[run["seed"]]["test_acc"] for run in some]),
            **{f"{key}_of_full": mean_sd([run[key] / full[run["seed"]][key] for run in some]) for key in FIGURES},
        }
    result = {
        "data": "CIFAR-10 (JPEG), a part of the images; figures are on test images, by which nothing is chosen",
        "settings": settings,
        "network": f"VGG-16, width {arguments.width}",
        "seeds": arguments.seeds,
        "summary": summary,
        "seconds": sum(run["seconds"] for run in runs),
        "runs": runs,
    }
    record("growth_vgg", result, packages=("nasplug-cgap",))


if __name__ == "__main__":
    main()
