"""Continuous growth and pruning beside training the whole network, pruning it afterwards, and a uniformly narrow one.

CIFAR-10 (JPEG), a small residual network. All rows train by the same schedule; `uniform` has the width whose
parameters come nearest to those that growth ended with, trained for as many epochs (`uniform`) and for about the same
work (`uniform_work`). `prune` trains the whole network and loses as many channels, step by step, by the same scores.
`torch_pruning_l2`, `_taylor` and `_group` lose them by that library in as many epochs, and to the same parameters;
`_work` behind a name says that its epochs are those that come nearest to the work of `cgap`. `_long` says that they
come nearest to `--share` of the work of training the whole network: an epoch of growth costs less, so it may have more.
Figures are on test images, by which nothing is chosen. Work is counted for every step on the network that it was.

Sizes are for one core: accuracies are far below those of full trainings, and compare rows only.

Run: OMP_NUM_THREADS=1 python benchmarks/growth.py --data cifar10_jpeg.npz   (with torch-pruning on the path)
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import _growth_peers as peers
import torch
from _continual import kept, mean_sd, task
from _record import record
from nasplug_cgap.growth.settings import Growth, Pruning
from nasplug_cgap.resnet import ResNetSpace

import nasplug as nas
from nasplug.cost.counts import count_macs, count_params

DATA = "CIFAR-10 (JPEG): a part of the training images; figures are on test images, by which nothing is chosen"
PEERS = tuple(f"torch_pruning_{kind}" for kind in peers.KINDS)
PRUNED = ("prune", *PEERS)
METHODS = (
    *("full", "cgap", "cgap_long", "uniform", "uniform_work", "uniform_long"),
    *(*PRUNED, *(f"{name}_work" for name in PRUNED)),
)
SHAPE = (3, 32, 32)


def space(arguments: argparse.Namespace, width: int) -> ResNetSpace:
    """One residual network."""
    return ResNetSpace(blocks=[arguments.blocks], widths=[width], shortcuts=[True], stem_stride=2)


def built(arguments: argparse.Namespace, width: int) -> Any:
    """The network of a width, for counts."""
    found = space(arguments, width)
    return found.build(next(iter(found)), task(arguments.data, arguments.train, arguments.test))


def run(name: str, seed: int, arguments: argparse.Namespace, width: int, epochs: int) -> dict[str, Any]:
    """One training."""
    base = name.removesuffix("_work").removesuffix("_long")
    if base in PEERS:
        torch.manual_seed(seed)
        network, kind = built(arguments, width), base.removeprefix("torch_pruning_")
        same = task(arguments.data, arguments.train, arguments.test)
        found = peers.train(same, network, kind, arguments.keep, seed, epochs)
        print(
            name, seed, width, epochs, {key: round(found[key], 4) for key in ("val_acc", "params", "work")}, flush=True
        )
        return {"method": name, "seed": seed, "width": width, **found}
    started = time.perf_counter()
    pruning = Pruning(keep=arguments.keep, weights=0.5)
    growth = Growth(seed=0.25, capacity=0.6) if base == "cgap" else Growth(seed=1.0, until=0.0)
    changing = base in ("cgap", "prune")
    study = nas.search(
        task(arguments.data, arguments.train, arguments.test),
        space=space(arguments, width),
        callbacks=[nas.component("cgap", growth=growth, pruning=pruning)] if changing else [],
        objectives={"val_acc": "max"},
        costs=["params", "macs"],
        trials=1,
        epochs=epochs,
        seed=seed,
        progress=False,
    )
    (trial,) = study.trials
    if trial.state != "complete":
        raise SystemExit(f"{name} {seed}: {trial.failure}")
    last = trial.measurements[-1].metrics
    work = last.get("cgap/train_flops", 6.0 * trial.costs["macs"] * arguments.train * epochs)
    figures = {"val_acc": last["val_acc"], "params": trial.costs["params"], "macs": trial.costs["macs"], "work": work}
    print(name, seed, width, epochs, {key: round(value, 4) for key, value in figures.items()}, flush=True)
    return {
        "method": name,
        "seed": seed,
        "width": width,
        "epochs": epochs,
        **figures,
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--keep", type=float, default=0.36, help="share of the parameters to end with")
    parser.add_argument("--share", type=float, default=0.68, help="work of the long rows, of the whole network's")
    parser.add_argument("--pruned", nargs="+", choices=PRUNED, default=list(PRUNED), help="rows that are pruned")
    parser.add_argument(
        "--equal-work", nargs="*", choices=PRUNED, default=list(PRUNED), help="rows that are run at equal work too"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/growth"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    sizes = {width: count_params(built(arguments, width)) for width in range(2, arguments.width + 1)}
    macs = {width: count_macs(built(arguments, width), SHAPE) for width in sizes}
    names = ("train", "test", "epochs", "blocks", "width", "keep")
    settings = {key: getattr(arguments, key) for key in names}
    folder = arguments.work / "-".join(str(value) for value in settings.values())

    def once(name: str, seed: int, width: int, epochs: int) -> dict[str, Any]:
        return kept(folder / f"{name}-{seed}.json", lambda: run(name, seed, arguments, width, epochs))

    found = []
    for seed in arguments.seeds:
        grown = once("cgap", seed, arguments.width, arguments.epochs)
        narrow = min(sizes, key=lambda width: abs(sizes[width] - grown["params"]))
        longer = max(1, round(grown["work"] / (6.0 * macs[narrow] * arguments.train)))
        found += [
            grown,
            once("full", seed, arguments.width, arguments.epochs),
            once("uniform", seed, narrow, arguments.epochs),
            once("uniform_work", seed, narrow, longer),
        ]
        allowed = arguments.share * found[-3]["work"]
        for name, width, per_epoch in (
            ("cgap_long", arguments.width, grown["work"] / arguments.epochs),
            ("uniform_long", narrow, 6.0 * macs[narrow] * arguments.train),
        ):
            found.append(once(name, seed, width, max(1, round(allowed / per_epoch))))
        for name in arguments.pruned:
            pruned = once(name, seed, arguments.width, arguments.epochs)
            shorter = max(1, round(arguments.epochs * grown["work"] / pruned["work"]))
            found.append(pruned)
            if name in arguments.equal_work:
                found.append(once(f"{name}_work", seed, arguments.width, shorter))
    summary: dict[str, Any] = {}
    for name in (name for name in METHODS if any(item["method"] == name for item in found)):
        some = [item for item in found if item["method"] == name]
        whole = [next(o for o in found if (o["method"], o["seed"]) == ("full", item["seed"])) for item in some]
        pairs = list(zip(some, whole, strict=True))
        summary[name] = {
            "val_acc": mean_sd([item["val_acc"] for item in some]),
            "val_acc_minus_full": mean_sd([item["val_acc"] - full["val_acc"] for item, full in pairs]),
            **{
                f"{key}_of_full": mean_sd([item[key] / full[key] for item, full in pairs])
                for key in ("params", "macs", "work")
            },
        }
    result = {
        "data": DATA,
        "settings": {**settings, "share": arguments.share},
        "network": f"ResNet-{6 * arguments.blocks + 2}, width {arguments.width}, stem with stride 2, projections",
        "seeds": arguments.seeds,
        "summary": summary,
        "seconds": sum(item["seconds"] for item in found),
        "runs": found,
    }
    folder_of = {} if arguments.out is None else {"folder": arguments.out}
    record("growth", result, packages=("nasplug-cgap", "torch-pruning"), **folder_of)


if __name__ == "__main__":
    main()
