"""info-NAS with the labels of 608 cells that are trained on images: experiment (b) of `infonas_labels.py`.

The cells are trained first, all in one study that goes on where it was ended; what they compute on held-out images is
kept beside the weights that other trainings start from, so that it travels with the records. Every draw then trains the
four arms on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_infonas"
IMAGES, TABLE = "cifar10_jpeg.npz", "nasbench201/cifar10.parquet"
#: What the cells compute, in the folder of the campaign.
LABELS = "starts/infonas.npz"
SEEDS = range(10)


def _options(settings: Settings) -> dict[str, Any]:
    scale = min(1.0, settings.scale)
    return {
        "limit": max(200, round(10_000 * scale)),
        "epochs": max(1, round(12 * scale)),
        "networks": max(4, round(608 * scale)),
        "channels": 16 if scale == 1 else 4,
        "held_out": max(20, round(400 * scale)),
    }


def entries(settings: Settings) -> list[Entry]:
    """The cells, and the draws that need them."""
    labels = Entry(
        EXPERIMENT,
        "labels",
        "infonas:labels",
        _options(settings),
        5400,
        "infonas-labels",
        files=(IMAGES,),
        goes_on=True,
    )
    scale = min(1.0, settings.scale)
    options = {
        "epochs": max(1, round(3 * scale)),
        "pretrain_epochs": max(1, round(20 * scale)),
        "batch": 32,
        "lr": 1e-3,
        "unlabelled": max(64, round(40_000 * scale)) if scale < 1 else 15_000,
        "cells": 4000 if scale == 1 else 300,
        "sizes": [20, 100, 608] if scale == 1 else [20, 100],
    }
    draws = [
        Entry(
            EXPERIMENT,
            f"arms-{seed}",
            "infonas:arms",
            {"seed": seed, "options": options},
            1800,
            "infonas-arms",
            needs=(labels.key,),
            files=(TABLE,),
            weights=LABELS,
        )
        for seed in SEEDS
    ]
    return [labels, *draws]


def labels(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Trains the cells and keeps what they compute; their validation accuracies are in the record."""
    from nasplug_infonas.iodata import IOData

    import nasplug as nas

    folder = settings.work / "infonas"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {"optimizer": "sgd", "lr": 0.025, "momentum": 0.9, "weight_decay": 1e-4, "schedule": "cosine"}
    task = nas.component(
        "image_classification",
        data=nas.component("npz", path=str(settings.data / IMAGES)),
        batch_size=128,
        limit=arguments["limit"],
        training=recipe,
    )
    study = nas.search(
        task,
        space=nas.component("nasbench201", channels=arguments["channels"], cells=1),
        strategy="random",
        trials=arguments["networks"],
        epochs=arguments["epochs"],
        device=settings.device,
        storage=folder / "labels.sqlite",
        progress=False,
    )
    data = IOData.from_study(study, arguments["held_out"])
    target = settings.out / LABELS
    target.parent.mkdir(parents=True, exist_ok=True)
    data.save(target)
    scores = sorted(network.score for network in data.networks)
    return {"networks": len(scores), "images": len(data.images), "val_acc": scores}


def arms(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The four arms of one draw."""
    from infonas_labels import Bench

    where = {"table": settings.data / TABLE, "networks": settings.out / LABELS, "label_epochs": 12}
    bench = Bench(argparse.Namespace(work=settings.work / "infonas", **where, **arguments["options"]))
    rows, facts = bench.run(arguments["seed"])
    return {"rows": rows, "arms": facts}


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over draws, and the lead of the dense layer that labels have taught."""
    from infonas_labels import summary_of

    by_name = {one["name"]: one for one in done}
    draws = sorted(
        (one for one in done if one["name"] != "labels"), key=lambda record: int(record["arguments"]["seed"])
    )
    found: dict[str, Any] = {"seeds": [one["arguments"]["seed"] for one in draws]}
    if "labels" in by_name:
        found |= {"settings": by_name["labels"]["arguments"], "labels": by_name["labels"]["result"]}
    return found | (summary_of([one["result"]["rows"] for one in draws]) if draws else {})
