"""Enhanced Q-NAS beside ResNet-18, GoogLeNet and VGG-11 on slices of chest CT, all trained alike from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_covid"
FILE = "covid_ct/covid_ct.npz"


def entries(settings: Settings) -> list[Entry]:
    """Seeds outside, so that a campaign cut short compares all networks."""
    import covid_ct

    scale = "full" if settings.scale >= 1 else "tiny"
    return [
        Entry(
            EXPERIMENT,
            f"{name}-{seed}",
            "covid:train",
            {"network": name, "seed": seed, "scale": scale},
            3600 if name == covid_ct.FOUND else 120,
            f"covid-{name}",
            files=(FILE,),
            goes_on=name == covid_ct.FOUND,
        )
        for seed in range(covid_ct.SCALES[scale].seeds)
        for name in (covid_ct.FOUND, *covid_ct.PEERS)
    ]


def train(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One network, found or of the peers, trained and tested."""
    import covid_ct

    scale = covid_ct.SCALES[arguments["scale"]]
    work = settings.work / "covid" / arguments["scale"]
    work.mkdir(parents=True, exist_ok=True)
    parts = covid_ct.parts_of(settings.data / FILE, scale)
    return covid_ct.one(arguments["network"], parts, scale, arguments["seed"], work, device=settings.device)


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and differences of the found network to each peer with the same seed."""
    import covid_ct

    runs: dict[str, dict[int, dict[str, float]]] = {}
    for one in sorted(done, key=lambda record: int(record["arguments"]["seed"])):
        runs.setdefault(one["arguments"]["network"], {})[one["arguments"]["seed"]] = one["result"]
    return {
        "scale": done[0]["arguments"]["scale"],
        "seeds": sorted({seed for by_seed in runs.values() for seed in by_seed}),
        "results": covid_ct.table(runs),
    }
