"""Growth and pruning at real size on CIFAR-10 (JPEG): ResNet-20 and VGG-16 of half width, beside their peers.

Rows that are compared at equal parameters, or at equal work of training, take their width or epochs from the record of
`cgap` with the same seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from _inference import interval

from campaign_tasks.entries import Entry, Settings
from campaign_tasks.quantisers import FILE, IMAGES

EXPERIMENT = "campaign_growth"
SEEDS = (0, 1, 2)
#: Networks, with the share of the parameters to end with: the published savings of 64 % and 79 %.
NETWORKS = {
    "resnet": {"network": "resnet", "width": 16, "blocks": 3, "keep": 0.36},
    "vgg": {"network": "vgg", "width": 32, "keep": 0.21},
}
#: Rows, the most valuable first; those with an underscore have the work of `cgap`.
ROWS = {
    "resnet": (
        *("cgap", "full", "uniform", "prune", "torch_pruning-l2", "uniform_work", "torch_pruning-l2_work"),
        *("prune_work", "torch_pruning-taylor"),
    ),
    "vgg": ("cgap", "full", "uniform", "prune", "torch_pruning-l2", "uniform_work", "torch_pruning-l2_work"),
}
SECONDS = 60.0


def entries(settings: Settings) -> list[Entry]:
    """Seeds outside, so that a campaign cut short compares all rows; the ResNet first."""
    found = []
    for name, options in NETWORKS.items():
        recipe: dict[str, Any] = options | {"epochs": 20, "batch": 256}
        if settings.scale < 1:
            limit = max(64, round(IMAGES * settings.scale))
            recipe |= {"epochs": max(3, round(20 * settings.scale)), "limit": limit, "batch": min(256, limit // 2)}
            recipe |= {"width": 4, **({"blocks": 1} if name == "resnet" else {})}
        for seed in SEEDS:
            for row in ROWS[name]:
                needs = []
                if row.startswith("uniform") or row.endswith("_work"):
                    needs.append(f"{EXPERIMENT}/{name}-cgap-{seed}")
                if row.endswith("_work") and not row.startswith("uniform"):
                    needs.append(f"{EXPERIMENT}/{name}-{row.removesuffix('_work')}-{seed}")
                arguments = {"row": row, "seed": seed, "recipe": recipe}
                found.append(
                    Entry(
                        *(EXPERIMENT, f"{name}-{row}-{seed}", "growth:train", arguments, SECONDS, f"growth-{name}"),
                        needs=tuple(needs),
                        files=(FILE,),
                    )
                )
    return found


def train(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One training; its width or epochs are those that make it comparable to `cgap`."""
    import _growth_training as training

    from campaign_tasks.records import Store
    from nasplug.cost.counts import count_macs

    row, seed = arguments["row"], arguments["seed"]
    recipe = training.Recipe(data=settings.data / FILE, device=settings.device, **arguments["recipe"])

    def done(other: str) -> dict[str, Any]:
        found = Store(settings.out).read_named(EXPERIMENT, f"{recipe.network}-{other}-{seed}")
        assert found is not None, f"{row} needs {other}"
        result: dict[str, Any] = found["result"]
        return result

    width = epochs = None
    if row.startswith("uniform"):
        width = training.nearest_width(recipe, done("cgap")["params"])
    if row == "uniform_work":
        images = (recipe.limit or IMAGES) // recipe.batch * recipe.batch
        macs = count_macs(training.built(recipe, width or recipe.width), training.SHAPE)
        epochs = max(1, round(done("cgap")["work"] / (6.0 * macs * images)))
    elif row.endswith("_work"):
        whole = done(row.removesuffix("_work"))
        epochs = max(1, round(recipe.epochs * done("cgap")["work"] / whole["work"]))
    return training.train(row, seed, recipe, width, epochs)


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By network and row: accuracy, what is left of the whole network, and the difference to it within a seed."""
    results = [one["result"] for one in done]
    networks = sorted({result["network"] for result in results})
    return {
        "data": "CIFAR-10 (JPEG), 45,000 training and 10,000 test images, by which nothing is chosen",
        "settings": {one["result"]["network"]: one["arguments"]["recipe"] for one in done},
        "seeds": sorted({result["seed"] for result in results}),
        "summary": {name: _rows([r for r in results if r["network"] == name]) for name in networks},
        "runs": results,
    }


def _rows(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    full = {result["seed"]: result for result in results if result["method"] == "full"}
    grown = {result["seed"]: result for result in results if result["method"] == "cgap"}
    for row in dict.fromkeys(result["method"] for result in results):
        some = [result for result in results if result["method"] == row]
        pairs = [(result, full[result["seed"]]) for result in some if result["seed"] in full]
        peers = [(grown[result["seed"]], result) for result in some if result["seed"] in grown]
        found[row] = {
            "seeds": [result["seed"] for result in some],
            "test_acc": interval([result["test_acc"] for result in some]),
            "params": statistics.mean(result["params"] for result in some),
        }
        if pairs:
            found[row]["over_full"] = interval([one["test_acc"] - whole["test_acc"] for one, whole in pairs])
            for key in ("params", "macs", "work"):
                found[row][f"{key}_of_full"] = statistics.mean(one[key] / whole[key] for one, whole in pairs)
            keys = [key for key, value in some[0]["npu"].items() if isinstance(value, int | float) and value]
            found[row]["npu_of_full"] = {
                key: statistics.mean(one["npu"][key] / whole["npu"][key] for one, whole in pairs)
                for key in keys
                if all(whole["npu"].get(key) for _, whole in pairs)
            }
        if peers and row != "cgap":
            found[row]["cgap_over_it"] = interval([ours["test_acc"] - it["test_acc"] for ours, it in peers])
    return found
