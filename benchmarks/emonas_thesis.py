"""Accuracy and one bits on real images: EMONAS beside random search, at 100 networks each.

Both search the macro space on Fashion-MNIST for high validation accuracy and few one bits in the trained float32
weights, with the same split and training, over several seeds. Networks drawn by hand (all connections, and a chain with
residual connections) are trained likewise. What is compared, for every seed:

* `at_random_best`: the network with the fewest ones that EMONAS found at the accuracy of random search's most accurate
  one or better, against that one: ones, parameters, multiply-accumulates; and how many of the 100 do that ("n of 100").
* `at_equal_accuracy`: the fewest ones at or above an accuracy, on average over those between random search's median and
  maximum. Unlike the line before it does not hang on a single training.
* `best_pair`: the largest reduction between any network of one search and a network of the other that is not more
  accurate, which is what "up to" means; and the same between two random searches, to show what such a number is worth.
* the hypervolume, and the correlation of ones with weights in several formats.

The runs are kept in `--work`, so that an interrupted benchmark goes on where it was.

Run: python benchmarks/emonas_thesis.py --data fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from nasplug_emonas.boo.correlation import boo_correlation

import nasplug as nas

STRATEGIES: dict[str, Any] = {"emonas": nas.component("emonas"), "random": nas.component("random")}
OBJECTIVES = {"val_acc": "max", "boo/ones": "min"}
COSTS = ("boo/ones", "params", "macs")
FORMATS = ("float32", "bfloat16", "int8", "int8/sign_magnitude", "int4/sign_magnitude", "Q0.7", "Q0.7/sign_magnitude")


def task(arguments: argparse.Namespace) -> Any:
    """What all searches share."""
    return nas.component(
        "image_classification",
        data=nas.component("npz", path=str(arguments.data)),
        limit=arguments.limit,
        batch_size=32,
        split={"val_fraction": 0.5},
        training={"lr": 1e-2},
    )


def run(name: str, seed: int, arguments: argparse.Namespace, **more: Any) -> nas.Study:
    """One search, or what is left of it."""
    options = {
        "strategy": STRATEGIES.get(name, "random"),
        "trials": arguments.trials,
        "epochs": arguments.epochs,
        "batch": 20,  # a generation
        "workers": arguments.workers,
        "device": arguments.device,
        **more,
    }
    return nas.search(
        task(arguments),
        space=nas.component("emonas.macro", nodes=arguments.nodes, channels=arguments.channels),
        objectives=OBJECTIVES,
        costs=["params", "macs"],
        seed=seed,
        storage=arguments.work / f"{name}-{seed}.sqlite",
        progress=False,
        **options,
    )


def by_hand(nodes: int) -> list[list[int]]:
    """Genotypes of three phases: all connections; and chains with residual connections."""
    pairs = [(source, target) for target in range(2, nodes + 1) for source in range(1, target)]
    chain = [int(target == source + 1) for source, target in pairs]
    return [3 * ([1] * len(pairs) + [1]), 3 * ([*chain, 1])]


def rows(study: nas.Study) -> list[dict[str, float]]:
    """Accuracy and costs of every network that was trained."""
    names = ("val_acc", *COSTS)
    return [{n: trial.values[n] for n in names} | {"number": trial.number} for trial in study.candidates()]


def fewest(found: Sequence[dict[str, float]], accuracy: float) -> dict[str, float] | None:
    """The network with the fewest ones among those that are accurate enough."""
    enough = [row for row in found if row["val_acc"] >= accuracy]
    return min(enough, key=lambda row: row["boo/ones"]) if enough else None


def reductions(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """By which share each cost is lower, and by how many points accuracy is higher."""
    return {cost: 1 - ours[cost] / theirs[cost] for cost in COSTS} | {"val_acc": ours["val_acc"] - theirs["val_acc"]}


def best_pair(ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Largest reduction of every cost over all pairs in which ours is at least as accurate."""
    pairs = [reductions(one, other) for one in ours for other in theirs if one["val_acc"] >= other["val_acc"]]
    return {cost: max((pair[cost] for pair in pairs), default=math.nan) for cost in COSTS}


def at_equal_accuracy(ours: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean reduction of the fewest ones over accuracies from their median to the highest that both reach."""
    accuracies = [row["val_acc"] for row in theirs]
    top = min(max(accuracies), max(row["val_acc"] for row in ours))
    levels = [level for level in sorted(set(accuracies)) if statistics.median(accuracies) <= level <= top]
    pairs = [(fewest(ours, level), fewest(theirs, level)) for level in levels]
    found = [reductions(one, other) for one, other in pairs if one is not None and other is not None]
    return {cost: statistics.mean(pair[cost] for pair in found) for cost in COSTS} | {"levels": len(found)}


def against(ours: Sequence[dict[str, float]], reference: dict[str, float]) -> dict[str, Any]:
    """The best network of a search at the accuracy of a reference, and how many keep accuracy with fewer ones."""
    better = [row for row in ours if row["val_acc"] >= reference["val_acc"] and row["boo/ones"] < reference["boo/ones"]]
    best = fewest(ours, reference["val_acc"])
    return {
        "reference": reference,
        "n": len(better),
        "of": len(ours),
        "network": best,
        "reduction": None if best is None else reductions(best, reference),
    }


def test_accuracy(study: nas.Study, number: int) -> float:
    """Of a network with the weights of the search, on images that no search saw."""
    import pytorch_lightning as pl

    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    module = study.task.module(study.network(study.trial(number)), {})
    return float(trainer.test(module, datamodule=study.task.datamodule(), verbose=False)[0]["test_acc"])


def summary(per_seed: Sequence[dict[str, Any]], *path: str) -> dict[str, float]:
    """Mean, best and worst of a number over seeds."""
    values = []
    for one in per_seed:
        value: Any = one
        for key in path:
            value = None if value is None else value[key]
        if value is not None and math.isfinite(value):
            values.append(float(value))
    if not values:
        return {"seeds": 0}
    return {"mean": statistics.mean(values), "max": max(values), "min": min(values), "seeds": len(values)}


def _short(cost: str) -> str:
    return cost.rpartition("/")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=1600)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("runs/emonas_thesis"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    studies: dict[str, list[nas.Study]] = {name: [] for name in (*STRATEGIES, "by_hand")}
    hand = by_hand(arguments.nodes)
    for seed in seeds:
        for name in STRATEGIES:
            studies[name].append(run(name, seed, arguments))
            best = studies[name][-1].best.values
            print(f"seed {seed} {name}: best val_acc {best['val_acc']:.4f}, ones {best['boo/ones']:.0f}", flush=True)
        studies["by_hand"].append(run("by_hand", seed, arguments, enqueue=hand, trials=len(hand)))
    found = {name: [rows(study) for study in done] for name, done in studies.items()}
    corner = {
        "val_acc": 0.1,
        "boo/ones": max(row["boo/ones"] for name in STRATEGIES for one in found[name] for row in one),
    }
    per_seed = []
    for seed in seeds:
        ours, theirs, others = found["emonas"][seed], found["random"][seed], found["random"][seed - 1]
        entry: dict[str, Any] = {
            "seed": seed,
            "best_val_acc": {name: max(row["val_acc"] for row in found[name][seed]) for name in STRATEGIES},
            "at_random_best": against(ours, max(theirs, key=lambda row: row["val_acc"])),
            "by_hand": [against(ours, row) for row in found["by_hand"][seed]],
            "random_by_hand": [against(theirs, row) for row in found["by_hand"][seed]],
            "at_equal_accuracy": at_equal_accuracy(ours, theirs),
            "best_pair": best_pair(ours, theirs),
            "best_pair_of_two_random_searches": best_pair(theirs, others) if arguments.seeds > 1 else None,
            "hypervolume": {name: studies[name][seed].hypervolume(corner) / corner["boo/ones"] for name in STRATEGIES},
            "front": {name: [trial.number for trial in studies[name][seed].pareto()] for name in STRATEGIES},
            "correlation": [asdict(one) for one in boo_correlation(studies["random"][seed], FORMATS)],
        }
        pick, best = entry["at_random_best"]["network"], entry["at_random_best"]["reference"]
        entry["test_acc"] = {
            "random_best": test_accuracy(studies["random"][seed], int(best["number"])),
            "emonas": None if pick is None else test_accuracy(studies["emonas"][seed], int(pick["number"])),
        }
        per_seed.append(entry)
    result = {
        "data": f"{arguments.data.name}: Fashion-MNIST, balanced excerpt of 10,000 training and 2,000 test images",
        "settings": {k: v for k, v in vars(arguments).items() if k not in ("data", "work", "out")}
        | {"val_fraction": 0.5, "batch_size": 32, "lr": 1e-2, "format": "float32", "reference": corner},
        "seeds": seeds,
        "summary": {
            "best_val_acc": {name: summary(per_seed, "best_val_acc", name) for name in STRATEGIES},
            "n": summary(per_seed, "at_random_best", "n"),
            "at_random_best": {
                _short(key): summary(per_seed, "at_random_best", "reduction", key) for key in (*COSTS, "val_acc")
            },
            **{
                name: {_short(cost): summary(per_seed, name, cost) for cost in COSTS}
                for name in ("at_equal_accuracy", "best_pair", "best_pair_of_two_random_searches")
            },
            "hypervolume": {name: summary(per_seed, "hypervolume", name) for name in STRATEGIES},
            "test_acc": {name: summary(per_seed, "test_acc", name) for name in ("random_best", "emonas")},
            "correlation": {
                form: {
                    key: float(np.mean([entry["correlation"][place][key] for entry in per_seed]))
                    for key in ("spearman", "pearson", "spearman_params", "lowest", "highest")
                }
                for place, form in enumerate(("recorded", *FORMATS))
            },
        },
        "per_seed": per_seed,
        "trials": found,
    }
    record("emonas_thesis", result, **({} if arguments.out is None else {"folder": arguments.out}))
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
