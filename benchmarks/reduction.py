"""Reductions of three trained networks: all strategies beside random search and torch-pruning, at equal work.

CIFAR-10 (JPEG), images of half the size, a ResNet-8, a WRN-10-2 and a small ResNet of timm, each trained first. Every
method starts from that network and does the same training work; see `_reduction_training.py`. Sizes are for two cores:
accuracies are far below those of full trainings, and compare rows only. The campaign has the same rows at full size.

Every row is kept in `--work` as it ends, and a benchmark that was stopped goes on.

Run: OMP_NUM_THREADS=1 python benchmarks/reduction.py --data cifar10_jpeg.npz
One network, trained until it gains little more, and all of that work for its reduction again:
    python benchmarks/reduction.py --data cifar10_jpeg.npz --networks resnet --parts 1 --pretraining 60 --tuning 30
        --methods uniform sensitivity torch_pruning --control --name reduction_long --work runs/benchmark-reduction-long
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _continual import kept
from _inference import interval
from _record import record
from _reduction_rows import compared
from _reduction_training import METHODS, Recipe, built, fitted, reduce
from safetensors.torch import load_model, save_model
from torch import nn

from nasplug.cost.counts import count_macs, count_params

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet": {"blocks": 1, "width": 16, "halved": True},
    "wrn": {"blocks": 1, "width": 2, "halved": True},
    "test_resnet": {},
}


#: Shares of the parameters that stay, and networks, the most valuable first.
PARTS: list[tuple[float, tuple[str, ...]]] = [(0.25, tuple(NETWORKS)), (0.15, ("resnet",)), (0.5, ("resnet",))]


def original(recipe: Recipe, seed: int, work: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained network and its figures, trained if it is not there."""
    network, file = built(recipe, seed), work / f"{recipe.network}-{seed}.safetensors"

    def make() -> dict[str, Any]:
        found = fitted(network, recipe, recipe.pretraining, seed)
        save_model(network, str(file))
        return found | {"params": count_params(network), "macs": count_macs(network, recipe.shape), "seed": seed}

    result = kept(work / f"{recipe.network}-{seed}.json", make)
    load_model(network, str(file))
    return network, result


def measure(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All originals and rows, the most valuable first."""
    originals: dict[tuple[str, int], dict[str, Any]] = {}
    rows = []
    for share, names in PARTS[: arguments.parts]:
        for name in names:
            if arguments.networks and name not in arguments.networks:
                continue
            for seed in range(arguments.seeds):
                recipe = Recipe(
                    arguments.data,
                    name,
                    train=arguments.train,
                    test=arguments.test,
                    pretraining=arguments.pretraining,
                    tuning=arguments.tuning,
                    supernet=arguments.supernet,
                    **NETWORKS[name],
                )
                if arguments.kept and not (arguments.work / f"{name}-{seed}.json").is_file():
                    continue
                network, first = original(recipe, seed, arguments.work)
                originals[name, seed] = first | {"network": name}
                for method in arguments.methods or METHODS:
                    file = arguments.work / f"{name}-{share:g}-{method}-{seed}.json"
                    if arguments.kept and not file.is_file():
                        continue
                    row = kept(file, lambda n=network, m=method, k=share, s=seed, r=recipe: reduce(m, n, k, s, r))
                    rows.append(row)
                    print(name, share, seed, method, f"{row['test_acc']:.4f} of {first['test_acc']:.4f}", flush=True)
    return list(originals.values()), rows


def longer(recipe: Recipe, seed: int, work: Path) -> dict[str, Any]:
    """The control of a reduction: the original, trained from the start for its own work and that of a reduction."""
    whole = replace(recipe, pretraining=recipe.pretraining + recipe.tuning)
    (work / "longer").mkdir(exist_ok=True)
    return original(whole, seed, work / "longer")[1] | {"network": recipe.network}


def controls(arguments: argparse.Namespace, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracies of the controls of one network, and of every method over them, within a seed."""
    name = arguments.networks[0]
    facts = {key: getattr(arguments, key) for key in ("train", "test", "pretraining", "tuning")}
    found = [
        longer(Recipe(arguments.data, name, **facts, **NETWORKS[name]), seed, arguments.work)
        for seed in range(arguments.seeds)
    ]
    by_seed = {one["seed"]: one["test_acc"] for one in found}
    over = {
        method: interval([row["test_acc"] - by_seed[row["seed"]] for row in rows if row["method"] == method])
        for method in dict.fromkeys(row["method"] for row in rows)
    }
    return {"rows": found, "test_acc": interval(list(by_seed.values())), "over_control": over}


def missing(rows: Sequence[Mapping[str, Any]], seeds: int) -> dict[str, list[str]]:
    """Methods by network and share that have fewer seeds than asked for, those without any included."""
    done = Counter((row["network"], row["keep"], row["method"]) for row in rows)
    return {
        f"{name} {share:g}": [method for method in METHODS if done[name, share, method] < seeds]
        for share, names in PARTS
        for name in names
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, reduces and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark-reduction"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kept", action="store_true", help="records the rows that are there, and trains nothing")
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="rows to train; all if not given")
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), help="networks to reduce; all if not given")
    parser.add_argument("--parts", type=int, default=len(PARTS), help="number of the shares, each with its networks")
    parser.add_argument("--pretraining", type=int, default=12, help="epochs of the original network")
    parser.add_argument("--tuning", type=int, default=6, help="work of every row, in epochs of the original network")
    parser.add_argument("--supernet", type=int, default=1, help="epochs of the shared weights")
    parser.add_argument("--control", action="store_true", help="trains the original of one network for longer, too")
    parser.add_argument("--name", default="reduction", help="name of the record")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    originals, rows = measure(arguments)
    settings = {
        key: value
        for key, value in vars(arguments).items()
        if key not in ("data", "out", "work", "kept", "methods", "name", "control")
    }
    more = {"control": controls(arguments, rows)} if arguments.control else {}
    result = {
        "data": "CIFAR-10 (JPEG), a part of the images; validation images choose, figures are of test images",
        "note": "no GPU; two cores shared with other work, so that seconds say little",
        "seeds": list(range(arguments.seeds)),
        "settings": settings | {"networks": NETWORKS},
        "not_run": missing(rows, arguments.seeds),
        **compared(originals, rows),
        **more,
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record(arguments.name, result, packages=("nasplug-reduction", "torch-pruning"), **folder)


if __name__ == "__main__":
    main()
