"""A front of sizes cut from one supernet, beside networks that are trained separately at each size.

The ResNet-8 of `reduction.py`, on its data. Shared weights are trained once, by the strategy `reduction.supernet`, and
the uniform network of every size is cut from them and recalibrated. Beside them stand the uniform rows of
`reduction.py`, each trained by itself with the work of a row; rows that are in `--work` already are taken from there.

Run: OMP_NUM_THREADS=1 python benchmarks/reduction_front.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _continual import kept
from _inference import interval
from _record import record
from _reduction_training import Recipe, fitted, reduce, shared_work, task, work
from nasplug_reduction import shrink
from reduction import NETWORKS, original
from torch import nn

import nasplug as nas
from nasplug.cost.counts import count_macs

NETWORK = "resnet"
#: Smallest share of the parameters, and number of sizes on the way there by equal factors.
SMALLEST, SIZES = 0.125, 3


def front(network: nn.Module, seed: int, recipe: Recipe) -> dict[str, Any]:
    """Test accuracy of every size that is cut from shared weights, and the work of all of them."""
    strategy = nas.component(
        "reduction.supernet",
        **{"supernet_epochs": recipe.supernet, "sizes": SIZES, "generations": 1, "children": 1, "compare": False},
    )
    result = shrink(
        network,
        data=task(recipe),
        keep=SMALLEST,
        epochs=0,
        strategy=strategy,
        retain="all",
        seed=seed,
        progress=False,
        rehearse=False,
    )
    steps = [trial for trial in result.study.trials if trial.proposal.info["role"] == "step"]
    cut = [result.study.network(trial) for trial in steps]
    recalibrated = sum(work(trial.costs["macs"], 0, recipe, scored=1) for trial in steps)
    return {
        "seed": seed,
        "params": [int(trial.costs["params"]) for trial in steps],
        "macs": [int(count_macs(each, recipe.shape)) for each in cut],
        "test_acc": [fitted(each, recipe, 0, seed)["test_acc"] for each in cut],
        "work": shared_work(network, recipe) + recalibrated,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Cuts, trains and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark-reduction"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--supernet", type=int, nargs="+", default=[2], help="epochs of the shared weights")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    shares = [SMALLEST ** (step / SIZES) for step in range(1, SIZES + 1)]
    found: dict[str, Any] = {}
    for epochs in arguments.supernet:
        rows = []
        for seed in range(arguments.seeds):
            options = {"train": 2000, "test": 2000, "pretraining": 12, "tuning": 6, "supernet": epochs}
            recipe = Recipe(arguments.data, NETWORK, **options, **NETWORKS[NETWORK])
            network, _ = original(recipe, seed, arguments.work)
            row = kept(
                arguments.work / f"{NETWORK}-front-{epochs}-{seed}.json",
                lambda n=network, s=seed, r=recipe: front(n, s, r),
            )
            alone = [
                kept(
                    arguments.work / f"{NETWORK}-{share:g}-uniform-{seed}.json",
                    lambda n=network, k=share, s=seed, r=recipe: reduce("uniform", n, k, s, r),
                )
                for share in shares
            ]
            row["separate_test_acc"] = [one["test_acc"] for one in alone]
            row["separate_params"] = [one["params"] for one in alone]
            row["share_of_work"] = row["work"] / sum(one["work"] for one in alone)
            rows.append(row)
            print(epochs, seed, row["test_acc"], row["separate_test_acc"], f"{row['share_of_work']:.2f}", flush=True)
        found[str(epochs)] = {
            "difference": {
                f"{share:g}": interval([row["test_acc"][size] - row["separate_test_acc"][size] for row in rows])
                for size, share in enumerate(shares)
            },
            "share_of_work": statistics.mean(row["share_of_work"] for row in rows),
            "rows": rows,
        }
    result = {
        "data": "CIFAR-10 (JPEG), a part of the images; figures are of test images",
        "note": "no GPU; two cores shared with other work",
        "seeds": list(range(arguments.seeds)),
        "shares": shares,
        "supernet_epochs": found,
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("reduction_front", result, packages=("nasplug-reduction",), **folder)


if __name__ == "__main__":
    main()
