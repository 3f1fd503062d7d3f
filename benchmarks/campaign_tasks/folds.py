"""Found segmentation networks beside networks of MONAI over folds by patient: hippocampus in 3-D and 2-D, and ACDC.

The searches are entries of their own; a fold trains what the search of its arm and seed found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaign_tasks.entries import Entry, Settings

EXPERIMENT = "campaign_segmentation_folds"


def entries(settings: Settings) -> list[Entry]:
    """Seeds outside, then data sets, then arms, each as a search and its folds."""
    import segmentation_folds as benchmark

    scale = "full" if settings.scale >= 1 else "tiny"
    plans = benchmark.PLANS[scale]
    found = []
    for seed in range(max(plan.scale.seeds for plan in plans.values())):
        for name, plan in plans.items():
            for arm in benchmark.ARMS:
                kind = "search" if arm in benchmark.SEARCHES else "baseline"
                told = {"data_set": name, "arm": arm, "seed": seed, "scale": scale}
                files = (benchmark.DATA[name],)
                first = Entry(
                    EXPERIMENT,
                    f"{name}-{arm}-{seed}",
                    "folds:find",
                    told,
                    5400 if kind == "search" else 10,
                    f"folds-{name}-{kind}",
                    files=files,
                    goes_on=kind == "search",
                )
                found.append(first)
                for fold in range(plan.folds):
                    found.append(
                        Entry(
                            EXPERIMENT,
                            f"{first.name}-fold{fold}",
                            "folds:train",
                            {**told, "fold": fold},
                            600 if scale == "full" else 20,
                            f"folds-{name}-training",
                            needs=(first.key,),
                            files=files,
                        )
                    )
    return found


def find(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One search, or the one network of an arm of MONAI."""
    import segmentation_folds as benchmark

    name, more = _where(arguments, settings)
    return benchmark.searched(name, arguments["arm"], *more, settings.device)


def train(arguments: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """One training on the other folds, and the scores of the patients of this one."""
    import segmentation_folds as benchmark

    from campaign_tasks.records import Store

    name, (source, plan, seed, work) = _where(arguments, settings)
    arm = arguments["arm"]
    before = Store(settings.out).read_named(EXPERIMENT, f"{name}-{arm}-{seed}")
    assert before is not None, f"{name}: the search of {arm}, seed {seed}, is needed first"
    last = (plan, arguments["fold"], seed, work, settings.device)
    return benchmark.fold_of(name, arm, before["result"], source, *last)


def _where(arguments: Mapping[str, Any], settings: Settings) -> tuple[str, tuple[Any, ...]]:
    """Name of the data set; its file, its plan, the seed, and a folder to work in."""
    import segmentation_folds as benchmark

    name = arguments["data_set"]
    work = settings.work / "folds" / arguments["scale"] / name
    work.mkdir(parents=True, exist_ok=True)
    plan = benchmark.PLANS[arguments["scale"]][name]
    return name, (settings.data / benchmark.DATA[name], plan, arguments["seed"], work)


def summary(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over folds of every arm, and differences to DynUNet, of seeds that have all folds."""
    import segmentation_folds as benchmark

    scale = done[0]["arguments"]["scale"]
    searches: dict[tuple[str, str, int], dict[str, Any]] = {}
    folds: dict[tuple[str, str, int], dict[int, dict[str, Any]]] = {}
    for one in done:
        told = one["arguments"]
        key = (told["data_set"], told["arm"], told["seed"])
        if "fold" in told:
            folds.setdefault(key, {})[told["fold"]] = one["result"]
        else:
            searches[key] = one["result"]
    runs: dict[str, dict[str, dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]]] = {}
    for key in sorted(searches):
        name, arm, seed = key
        count = benchmark.PLANS[scale][name].folds
        trained = folds.get(key, {})
        if len(trained) == count:
            whole = (searches[key], [trained[fold] for fold in range(count)])
            runs.setdefault(name, {}).setdefault(arm, {})[seed] = whole
    return {
        "scale": scale,
        "seeds": sorted({seed for arms in runs.values() for by_seed in arms.values() for seed in by_seed}),
        "hd95_unit": {name: benchmark.UNITS[name] for name in runs},
        "results": {name: benchmark.table(arms) for name, arms in runs.items()},
        "over_random": {name: benchmark.over_random(arms) for name, arms in runs.items()},
    }
