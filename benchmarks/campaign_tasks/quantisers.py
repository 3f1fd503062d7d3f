"""Quantisers on CIFAR-10 (JPEG): a ResNet-20 in floating point per seed, then every kind and number of bits from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _inference import interval

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_quantisers"
FILE = "cifar10_jpeg.npz"
KINDS = ("double_st", "fixed", "lsq_weights", "lsq", "pact", "learnable", "single_st", "float")
EPOCHS = 15
#: Seconds of a whole training on an NVIDIA H200, with captured steps and alone on the card; `pretrained` as `float`.
SECONDS = {
    **{"double_st": 44.0, "fixed": 32.0, "lsq_weights": 37.0, "lsq": 35.0},
    **{"pact": 33.0, "learnable": 35.0, "single_st": 43.0, "float": 24.0},
}
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
    return settings.out / weights_name(seed)


def weights_name(seed: int) -> str:
    """The same below the folder of the campaign."""
    return f"starts/{seed}.safetensors"


def entries(settings: Settings) -> list[Entry]:
    """Two bits and three seeds; five seeds; then 1, 3 and 4 bits."""
    options = recipe_of(settings)
    images = options.get("limit", IMAGES)
    steps = max(1, round(options["epochs"] * (images // options["batch"])))
    found = []

    def start(seed: int) -> Entry:
        arguments = {"kind": "pretrained", "bits": None, "seed": seed, "recipe": options, "steps": steps}
        name, seconds = f"start-{seed}", SECONDS["float"]
        return Entry(EXPERIMENT, name, "quantisers:train", arguments, seconds, "start", files=(FILE,), packed=True)

    def trained(kind: str, bits: int, seed: int) -> Entry:
        plain = kind == "float"
        arguments = {
            **{"kind": kind, "bits": None if plain else bits, "seed": seed},
            **{"recipe": options, "steps": steps},
        }
        name = f"{kind}-{seed}" if plain else f"{kind}-{bits}-{seed}"
        needs = (f"{EXPERIMENT}/start-{seed}",)
        family = kind if plain else f"{kind}-{bits}"
        return Entry(
            EXPERIMENT,
            name,
            "quantisers:train",
            arguments,
            SECONDS[kind],
            family,
            needs,
            (FILE,),
            weights=weights_name(seed),
            packed=True,
        )

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
    """Mean and deviation over the seeds by kind and bits, and differences from `fixed` and `float` within a seed."""
    from darts_lp_quantisers import summary as by_kind

    results = [one["result"] for one in done]
    return {
        "data": "CIFAR-10 (JPEG), 45,000 training and 10,000 test images",
        "settings": done[0]["arguments"]["recipe"],
        "seeds": sorted({result["seed"] for result in results}),
        "summary": by_kind(results),
        "over_fixed": over(results, "fixed"),
        "over_float": over(results, "float"),
        "folded": {
            "integers": sum(result.get("folded_integers", 0) for result in results),
            "differing": sum(result.get("folded_differing", 0) for result in results),
        },
        "runs": results,
    }


def over(results: Sequence[Mapping[str, Any]], other: str) -> dict[str, Any]:
    """Differences in test accuracy from another kind in the same seed, with the same bits or in floating point.

    Returns:
        By kind and bits, the differences by seed, their mean, and from two seeds on the ends of the 95 % interval of
        Student's t. It covers the randomness of the trainings (order, augmentation, starting network), not that of the
        test images, which all share.
    """
    found = {(result["kind"], result["bits"], result["seed"]): result["test_acc"] for result in results}
    differences: dict[str, dict[str, dict[str, float]]] = {}
    for (kind, bits, seed), value in sorted(found.items(), key=repr):
        reference = found.get((other, None if other == "float" else bits, seed))
        if bits is not None and kind != other and reference is not None:
            differences.setdefault(kind, {}).setdefault(f"bits_{bits}", {})[str(seed)] = value - reference
    return {
        kind: {bits: {"by_seed": by_seed} | interval(list(by_seed.values())) for bits, by_seed in by_bits.items()}
        for kind, by_bits in differences.items()
    }
