"""Searches for segmentation networks beside networks of MONAI, at real size: hippocampus in 3-D and 2-D, and ACDC.

A search keeps its trials in a study file below `work` as they end, so that one that was ended goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_segmentation"
#: The question was asked of volumes first.
DATA_SETS = ("hippocampus_3d", "acdc", "hippocampus")
#: The reference first, then what is most worth comparing with it.
ARMS = (
    *("dynunet", "unet_emonas", "segqnas_qnas", "segqnas_random", "segqnas_evolution"),
    *("dynunet_gentle", "dints_gradient", "segresnet", "unet", "attention_unet"),
)


def entries(settings: Settings) -> list[Entry]:
    """Every arm on every data set and seed; seeds outside, so that a campaign cut short compares all of them."""
    import segmentation_search

    scale = "full" if settings.scale >= 1 else "tiny"
    found = []
    for seed in range(segmentation_search.SCALES[scale].seeds):
        for name in DATA_SETS:
            for arm in ARMS:
                searched = arm in segmentation_search.SEARCHES
                found.append(
                    Entry(
                        EXPERIMENT,
                        f"{name}-{arm}-{seed}",
                        "segmentation:compare",
                        {"data_set": name, "arm": arm, "seed": seed, "scale": scale},
                        7200 if searched else 900,
                        f"segmentation-{name}-{'search' if searched else 'baseline'}",
                        files=(segmentation_search.DATA[name],),
                        goes_on=searched,
                    )
                )
    return found


def compare(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One search with the training of its best network, or the training of a network of MONAI."""
    import segmentation_search

    name, scale = arguments["data_set"], segmentation_search.SCALES[arguments["scale"]]
    work = settings.work / "segmentation" / arguments["scale"] / name
    work.mkdir(parents=True, exist_ok=True)
    path = segmentation_search.subset(settings.data / segmentation_search.DATA[name], scale, work, name)
    return segmentation_search.one(name, arguments["arm"], path, scale, arguments["seed"], work, settings.device)


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means of every arm, and differences to DynUNet over the seeds that both have."""
    import segmentation_search

    runs: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for one in sorted(done, key=lambda record: int(record["arguments"]["seed"])):
        told = one["arguments"]
        runs.setdefault(told["data_set"], {}).setdefault(told["arm"], {})[told["seed"]] = one["result"]
    results = {name: segmentation_search.table(arms) for name, arms in runs.items()}
    return {
        "scale": done[0]["arguments"]["scale"],
        "seeds": sorted({one["arguments"]["seed"] for one in done}),
        "hd95_unit": {name: segmentation_search.UNITS[name] for name in runs},
        "results": results,
    }
