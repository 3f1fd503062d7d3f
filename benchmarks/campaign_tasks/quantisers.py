"""Quantisers on CIFAR-10 (JPEG): a ResNet-20 in floating point per seed, then every kind and number of bits from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_quantisers"
FILE = "cifar10_jpeg.npz"
KINDS = ("double_st", "fixed", "lsq_weights", "lsq", "pact", "learnable", "single_st", "float")
EPOCHS = 15
IMAGES = 45_000


def recipe_of(settings: Settings) -> dict[str, Any]:
    """Settings of the trainings, at the scale of the campaign."""
    found: dict[str, Any] = {"pretrain": EPOCHS, "epochs": EPOCHS, "pretrain_lr": 0.1, "lr": 0.03, "batch": 256}
    if settings.scale < 1:
        limit = max(32, round(IMAGES * settings.scale))
        epochs = max(2.0, EPOCHS * settings.scale)
        found |= {"limit": limit, "batch": min(256, limit // 2), "epochs": epochs, "pretrain": epochs}
        if settings.scale < 0.1:
            found |= {"blocks": 1, "stem_stride": 2, "width": 8}
    return found


def recipe(options: Mapping[str, Any], settings: Settings, *, graph: bool) -> Any:
    """The same for a training."""
    from _quantiser_training import Recipe

    return Recipe(data=settings.data / FILE, device=settings.device, graph=graph, **options)


def weights(seed: int, settings: Settings) -> Path:
    """File of the network of a seed in floating point."""
    return settings.out / "starts" / f"{seed}.safetensors"


def entries(settings: Settings) -> list[Entry]:
    """Two bits and three seeds; five seeds; then 1, 3 and 4 bits."""
    options = recipe_of(settings)
    images = options.get("limit", IMAGES)
    steps = max(1, round(options["epochs"] * (images // options["batch"])))
    found = []

    def start(seed: int) -> Entry:
        arguments = {"kind": "pretrained", "bits": None, "seed": seed, "recipe": options, "steps": steps}
        return Entry(EXPERIMENT, f"start-{seed}", "quantisers:train", arguments, 40.0, "start", files=(FILE,))

    def trained(kind: str, bits: int, seed: int) -> Entry:
        plain = kind == "float"
        arguments = {
            **{"kind": kind, "bits": None if plain else bits, "seed": seed},
            **{"recipe": options, "steps": steps},
        }
        name = f"{kind}-{seed}" if plain else f"{kind}-{bits}-{seed}"
        needs = (f"{EXPERIMENT}/start-{seed}",)
        family = kind if plain else f"{kind}-{bits}"
        return Entry(EXPERIMENT, name, "quantisers:train", arguments, 80.0, family, needs, (FILE,))

    for seeds in ((0, 1, 2), (3, 4)):
        found += [start(seed) for seed in seeds]
        found += [trained(kind, 2, seed) for seed in seeds for kind in KINDS]
    for seeds in ((0, 1, 2), (3, 4)):
        kinds = [kind for kind in KINDS if kind != "float"]
        found += [trained(kind, bits, seed) for seed in seeds for bits in (1, 3, 4) for kind in kinds]
    return found


def train(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One training; with graphs where the timings say so, and without if a step cannot be captured."""
    import _quantiser_training as training

    from campaign_tasks import checks
    from campaign_tasks.records import Store

    kind, bits, seed = arguments["kind"], arguments["bits"], arguments["seed"]
    first = kind == "pretrained"
    kept = weights(seed, settings)
    refused = settings.work / f"eager-{kind}-{bits}"
    timed = settings.device == "cuda" and checks.use_graph(Store(settings.out), "float" if first else kind)
    graph = timed and not refused.exists()
    options = recipe(arguments["recipe"], settings, graph=graph)
    start, keep = (None, kept) if first else (kept, None)
    try:
        result = training.train(kind, bits, seed, options, start=start, keep=keep)
    except training.CaptureError:
        refused.parent.mkdir(parents=True, exist_ok=True)
        refused.touch()
        raise
    return result | {"graph": graph}


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over the seeds, by kind and bits, and the distance from `fixed` in the same seed."""
    from darts_lp_quantisers import summary as by_kind

    results = [one["result"] for one in done]
    return {
        "data": "CIFAR-10 (JPEG), 45,000 training and 10,000 test images",
        "settings": done[0]["arguments"]["recipe"],
        "seeds": sorted({result["seed"] for result in results}),
        "summary": by_kind(results),
        "over_fixed": over(results, "fixed"),
        "folded": {
            "integers": sum(result.get("folded_integers", 0) for result in results),
            "differing": sum(result.get("folded_differing", 0) for result in results),
        },
        "runs": results,
    }


def over(results: Sequence[Mapping[str, Any]], other: str) -> dict[str, Any]:
    """Differences in test accuracy from another kind with the same bits and seed."""
    found = {(result["kind"], result["bits"], result["seed"]): result["test_acc"] for result in results}
    differences: dict[str, dict[str, list[float]]] = {}
    for (kind, bits, seed), value in sorted(found.items(), key=repr):
        reference = found.get((other, bits, seed))
        if kind != other and reference is not None:
            differences.setdefault(kind, {}).setdefault(f"bits_{bits}", []).append(value - reference)
    return differences
