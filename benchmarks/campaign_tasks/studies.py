"""EMONAS and Q-NAS beside their rivals, with trainings of 10 epochs of 10,000 images.

A search keeps its trials in a study file below `work` as they end, so that one that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

FILE = "fashion_mnist_12k.npz"
SEEDS = range(5)
EMONAS, QNAS = "campaign_emonas", "campaign_qnas"


def _options(settings: Settings, experiment: str) -> dict[str, Any]:
    scale = min(1.0, settings.scale)
    limit = None if scale == 1 else max(100, round(10_000 * scale))
    common = {"limit": limit, "epochs": max(1, round(10 * scale)), "trials": max(4, round(100 * scale))}
    if experiment == EMONAS:
        return common | {"nodes": 4, "channels": 4}
    retraining = {"retrain_epochs": max(1, round(20 * scale)), "retrain_limit": limit}
    return common | {"nodes": 6, "width": 0.125} | retraining


def entries(settings: Settings) -> list[Entry]:
    """Every strategy on every seed; seeds outside, so that a campaign cut short compares all of them."""
    import emonas_thesis
    import qnas_fashion

    found = []
    for seed in SEEDS:
        for experiment, strategies in ((EMONAS, emonas_thesis.STRATEGIES), (QNAS, qnas_fashion.STRATEGIES)):
            task = "studies:emonas" if experiment == EMONAS else "studies:qnas"
            options = _options(settings, experiment)
            for name in strategies:
                arguments = {"strategy": name, "seed": seed, "options": options}
                found.append(
                    Entry(experiment, f"{name}-{seed}", task, arguments, 1800, task, files=(FILE,), goes_on=True)
                )
    return found


def _arguments(arguments: Mapping[str, Any], settings: Settings, folder: str) -> argparse.Namespace:
    work = settings.work / folder
    work.mkdir(parents=True, exist_ok=True)
    where = {"data": settings.data / FILE, "device": settings.device, "workers": 1, "work": work}
    return argparse.Namespace(**arguments["options"], **where)


def emonas(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One search, EMONAS or random: every network with its accuracy and costs."""
    import emonas_thesis

    name, seed = arguments["strategy"], arguments["seed"]
    study = emonas_thesis.run(name, seed, _arguments(arguments, settings, "emonas"))
    return {"rows": emonas_thesis.rows(study), "front": [trial.number for trial in study.pareto()]}


def qnas(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One search, and the training of the best network."""
    import qnas_fashion

    return qnas_fashion.one(arguments["strategy"], arguments["seed"], _arguments(arguments, settings, "qnas"))


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the benchmarks on the CPU compare, for the seeds that are whole."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(done, key=lambda record: int(record["arguments"]["seed"])):
        runs.setdefault(one["arguments"]["strategy"], []).append(one["result"] | {"seed": one["arguments"]["seed"]})
    found: dict[str, Any] = {
        "data": "Fashion-MNIST, balanced excerpt of 10,000 training and 2,000 test images",
        "settings": done[0]["arguments"]["options"],
        "seeds": sorted({one["arguments"]["seed"] for one in done}),
        "runs": runs,
    }
    if done[0]["experiment"] == QNAS:
        import qnas_fashion

        return found | {"summary": qnas_fashion.summary_of(runs)}
    import emonas_thesis

    by_seed = {name: {run["seed"]: run["rows"] for run in several} for name, several in runs.items()}
    both = sorted(set(by_seed.get("emonas", ())) & set(by_seed.get("random", ())))
    pairs = []
    for seed in both:
        ours, theirs = by_seed["emonas"][seed], by_seed["random"][seed]
        best = max(theirs, key=lambda row: float(row["val_acc"]))
        pairs.append(
            {
                "seed": seed,
                "at_random_best": emonas_thesis.against(ours, best),
                "at_equal_accuracy": emonas_thesis.at_equal_accuracy(ours, theirs),
                "best_pair": emonas_thesis.best_pair(ours, theirs),
            }
        )
    return found | {"per_seed": pairs}
