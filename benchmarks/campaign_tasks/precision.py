"""Mixed precision at equal bit operations on Fashion-MNIST: searches, uniform bits and random bits."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_precision"
FILE = "fashion_mnist_12k.npz"
BUDGETS = (2, 4)
SEEDS = range(5)
RANDOM = 2


def _options(settings: Settings) -> dict[str, Any]:
    scale = settings.scale
    epochs = max(1, round(30 * min(1.0, scale)))
    limit = None if scale >= 1 else max(64, round(10_000 * scale))
    network = {"width": 0.5, "blocks": 2} if scale >= 0.1 else {"width": 0.25, "blocks": 1}
    training = {"epochs": epochs, "search_epochs": epochs, "limit": limit, "batch": 64, "lr": 3e-3, "augment": "none"}
    return network | training | {"logits_lr": 0.02, "cost_weight": 2.0}


def entries(settings: Settings) -> list[Entry]:
    """For every seed and budget: a search by each way and the training of what it found, uniform and random bits."""
    from darts_lp_search import SEARCHES

    found = []
    options = _options(settings)
    for seed in SEEDS:
        for budget in BUDGETS:
            common = {"seed": seed, "budget": budget, "options": options}
            for way in (*SEARCHES, "sensitivity"):
                name = f"{budget}-{seed}-{way}"
                search = {**common, "way": way}
                found.append(
                    Entry(EXPERIMENT, f"{name}-search", "precision:search", search, 200, "search", files=(FILE,))
                )
                needs = (f"{EXPERIMENT}/{name}-search",)
                found.append(
                    Entry(EXPERIMENT, name, "precision:train", search, 150, "precision", needs=needs, files=(FILE,))
                )
            for way in ("uniform", *(f"random{draw}" for draw in range(RANDOM))):
                found.append(
                    Entry(
                        EXPERIMENT,
                        f"{budget}-{seed}-{way}",
                        "precision:train",
                        {**common, "way": way},
                        150,
                        "precision",
                        files=(FILE,),
                    )
                )
    return found


def _bench(arguments: Mapping[str, Any], settings: Settings) -> Any:
    from darts_lp_search import Bench

    where = {"data": settings.data / FILE, "device": settings.device, "work": settings.work / "precision.json"}
    return Bench(argparse.Namespace(target=None, **arguments["options"], **where))


def search(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One search; `found` is None if no network lies within the budget."""
    bench = _bench(arguments, settings)
    budget = bench.cost(bench.uniform(arguments["budget"]))
    way, seed = arguments["way"], arguments["seed"]
    return {"found": bench.sensitivity(budget, seed) if way == "sensitivity" else bench.search(way, budget, seed)}


def train(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The training of one network from scratch."""
    import numpy as np

    from campaign_tasks.records import Store

    bench = _bench(arguments, settings)
    way, bits, seed = arguments["way"], arguments["budget"], arguments["seed"]
    budget = bench.cost(bench.uniform(bits))
    more: dict[str, Any] = {}
    if way == "uniform":
        genotype = bench.uniform(bits).genotype
    elif way.startswith("random"):
        draw = int(way.removeprefix("random"))
        genotype = bench.random(budget, np.random.default_rng([seed, bits, draw])).genotype
    else:
        record = Store(settings.out).read_named(EXPERIMENT, f"{bits}-{seed}-{way}-search")
        assert record is not None, "the queue lets the search come first"
        found = record["result"]["found"]
        if found is None:
            return {"budget": budget, "network": None}
        genotype, more = found["genotype"], found
    return {"budget": budget, "network": bench.train(genotype, seed) | more}


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over seeds by budget and way; only seeds that have uniform bits at all budgets."""
    from darts_lp_search import front
    from darts_lp_search import summary as by_way

    seeds: dict[int, Any] = {}
    for one in done:
        arguments, result = one["arguments"], one["result"]
        if one["name"].endswith("-search"):
            continue
        budgets = seeds.setdefault(arguments["seed"], {})
        budget = budgets.setdefault(str(arguments["budget"]), {"budget": result["budget"], "ways": {}})
        way = "random" if arguments["way"].startswith("random") else arguments["way"]
        if result["network"] is not None:
            budget["ways"].setdefault(way, []).append(result["network"])
    whole = {
        seed: budgets
        for seed, budgets in sorted(seeds.items())
        if all("uniform" in budgets.get(str(bits), {"ways": {}})["ways"] for bits in BUDGETS)
    }
    return {
        "data": "Fashion-MNIST, balanced excerpt of 10,000 training and 2,000 test images",
        "settings": done[0]["arguments"]["options"],
        "seeds": sorted(seeds),
        "summary": by_way(whole) if whole else {},
        "front": front(seeds),
        "runs": seeds,
    }
