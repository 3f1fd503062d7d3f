"""Whether stability tells which inherited network keeps most: rank correlations over candidates, with intervals.

Every network of a small space of residual networks (depth, width, with and without shortcuts) is trained on nine
classes of CIFAR-10 (JPEG), its accuracy under noise and the roughness of its loss are measured on those classes, and it
acquires the tenth class from a memory (Acquisitive Learning). Kept accuracy is that on the nine classes afterwards. All
go through one search, with the strategy `cgap.select`. Measures of stability and accuracies are on test images, by
which nothing is chosen here; in a search they would be on validation images.

Correlations are Spearman's over candidates, of means over seeds, with 95 % intervals by bootstrap over candidates;
those of single seeds stand beside. The accuracy before acquisition is the measure to beat.

Run: OMP_NUM_THREADS=1 python benchmarks/stability_rank.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from _continual import DATA, kept, spearman, task
from _record import record
from nasplug_cgap.select import Select

import nasplug as nas

SCHEDULE = "9+1"
#: What is to foretell, with the sign by which larger should be better.
MEASURES = {"drop": -1.0, "noisy_acc": 1.0, "fitness": 1.0, "roughness": -1.0, "inherited_acc": 1.0}
OUTCOMES = ("kept_acc", "val_acc", "minus_forgetting")


class Each:
    """Proposes every network of the space once."""

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        """The next ones."""
        space: Any = study.space
        return [study.proposal(architecture) for architecture in list(space)[study.proposed : study.proposed + count]]


def run(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One search: all candidates inherit and acquire."""
    started = time.perf_counter()
    space = nas.component(
        "cgap.resnet", blocks=arguments.blocks, widths=arguments.widths, shortcuts=[True, False], stem_stride=2
    )
    number = 2 * len(arguments.blocks) * len(arguments.widths)
    some = {"schedule": SCHEDULE, "order": seed}
    study = nas.search(
        task(arguments.data, arguments.train, arguments.test),
        space=space,
        strategy=Select(Each(), candidates=number, keep=number),
        evaluator=nas.component("cgap.acquire", memory={"size": arguments.memory}, inherit_only=True, **some),
        costs=[
            "params",
            nas.component("stability", alpha=arguments.alpha, draws=8, **some),
            nas.component("roughness", points=7, samples=256, **some),
        ],
        objectives={"val_acc": "max"},
        trials=2 * number,
        epochs=arguments.epochs,
        seed=seed,
        progress=False,
    )
    rows = []
    for trial in study.trials:
        if trial.state != "complete":
            raise SystemExit(f"trial {trial.number}: {trial.failure}")
        if trial.proposal.parent is None:
            continue
        before = study.trial(trial.proposal.parent)
        rows.append(
            {
                "network": study.label(trial),
                "drop": before.costs["stability/drop"],
                "noisy_acc": before.costs["stability/noisy_acc"],
                "fitness": before.costs["stability/fitness"],
                "roughness": before.costs["roughness/mse"],
                "params": before.costs["params"],
                "inherited_acc": before.metrics["seen_acc"],
                "kept_acc": before.metrics["seen_acc"] - trial.metrics["forgetting"],
                "minus_forgetting": -trial.metrics["forgetting"],
                "val_acc": trial.metrics["val_acc"],
            }
        )
    print(f"seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
    return {
        "seed": seed,
        "rows": sorted(rows, key=lambda row: row["network"]),
        "seconds": time.perf_counter() - started,
    }


def correlation(measure: np.ndarray[Any, Any], outcome: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Of means over seeds, with a bootstrap interval over candidates, and of every seed; arrays (seeds, candidates)."""
    rng = np.random.default_rng(0)
    x, y = measure.mean(0), outcome.mean(0)
    drawn = [spearman(x[i], y[i]) for i in (rng.integers(len(x), size=len(x)) for _ in range(2000))]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    each = [spearman(a, b) for a, b in zip(measure, outcome, strict=True)]
    return {"rho": spearman(x, y), "low": float(low), "high": float(high), "by_seed": each}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 12, 16])
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--memory", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/stability_rank"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    sizes = f"n{arguments.train}-t{arguments.test}-e{arguments.epochs}-m{arguments.memory}-a{arguments.alpha}"
    found = [
        kept(arguments.work / sizes / f"{seed}.json", lambda seed=seed: run(seed, arguments))
        for seed in arguments.seeds
    ]

    def table(key: str) -> np.ndarray[Any, Any]:
        return np.array([[row[key] for row in item["rows"]] for item in found])

    correlations = {
        measure: {outcome: correlation(sign * table(measure), table(outcome)) for outcome in OUTCOMES}
        for measure, sign in MEASURES.items()
    }
    names = ("blocks", "widths", "alpha", "train", "test", "epochs", "memory")
    result = {
        "data": DATA,
        "settings": {name: getattr(arguments, name) for name in names} | {"schedule": SCHEDULE},
        "seeds": arguments.seeds,
        "candidates": len(found[0]["rows"]),
        "correlations": correlations,
        "means": {key: float(table(key).mean()) for key in (*MEASURES, *OUTCOMES)},
        "seconds": sum(item["seconds"] for item in found),
        "runs": found,
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("stability_rank", result, packages=("nasplug-cgap",), **folder)


if __name__ == "__main__":
    main()
