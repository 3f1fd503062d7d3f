"""Found segmentation networks beside networks of MONAI over folds by patient; every patient is segmented once.

The patients of a data set are parted in two. Searches see the first part only; then every network, found or of MONAI,
is trained anew on the other patients, once for each fold, with as many steps, and segments the patients of the fold
that it did not see. So a fold tells nothing to a search, and one search serves all folds. Searches may train candidates
with a third of DynUNet's parameters and products at most; what a search costs is given in trainings of DynUNet.

Differences to DynUNet are paired by patient. Every search and every training is kept in `--work` as it ends;
`--minutes` starts nothing after that time, and the next call goes on. The record names what was not run.

    uv run python benchmarks/segmentation_folds.py --data ../shared/data --minutes 20
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from segmentation_search import (
    BASELINES,
    DATA,
    RATE,
    RATES,
    REFERENCE,
    SEARCHES,
    TARGET,
    UNITS,
    Scale,
    costs,
    paired,
    search,
    space_of,
    train,
)


@dataclass(frozen=True)
class Plan:
    """Sizes of the comparison on one data set.

    `searching` and `folding` are numbers of patients (0 takes all others); `spacing` is that of the volumes that
    networks see, in voxels of the file, and None keeps them. `chains` is the number of candidates in SegQNAS' space,
    most of which are too large to be trained.
    """

    scale: Scale
    searching: int
    folding: int
    folds: int
    spacing: tuple[float, float, float] | None = None
    chains: int = 32


def _scale(name: str, patch: list[int], per_epoch: int, epochs: int, final: int, batch: int, **more: Any) -> Scale:
    wide = {"nodes": 10, "stem": 8, "widths": (8, 16, 24), "max_depth": 3, "trials": 16, "seeds": 1}
    wide["precision"] = "bf16-mixed"
    return Scale(
        None, {name: patch}, per_epoch, epochs=epochs, final_epochs=final, batch=batch, part=1 / 3, **(wide | more)
    )


_SMALL = {"nodes": 4, "stem": 4, "widths": (4, 8), "max_depth": 2, "trials": 4}
_PLAIN = {"trials": 8, "precision": "32-true"}
_FULL = {"nodes": 10, "stem": 8, "widths": (8, 16, 24, 32), "max_depth": 4, "trials": 100, "grid": (12, 4, 1.0)}
#: Plans by scale and data set, the most valuable data set first.
PLANS: dict[str, dict[str, Plan]] = {
    # It shows that every arm runs, and decides nothing.
    "tiny": {
        "hippocampus": Plan(_scale("hippocampus", [32, 32], 16, 1, 2, 8, **_SMALL), 8, 6, 2, chains=4),
        "acdc": Plan(_scale("acdc", [32, 32], 16, 1, 2, 8, **_SMALL), 10, 10, 2, (2.0, 2.0, 1.0), 4),
        "hippocampus_3d": Plan(_scale("hippocampus_3d", [16, 16, 16], 8, 1, 2, 2, **_SMALL), 8, 6, 2, chains=4),
    },
    # For one core and minutes: trainings of 240, 192 and 80 steps, candidates of 40, 32 and 16.
    "short": {
        "hippocampus": Plan(_scale("hippocampus", [32, 48], 160, 2, 12, 8), 48, 60, 3),
        "acdc": Plan(_scale("acdc", [48, 48], 128, 2, 12, 8), 20, 30, 3, (2.0, 2.0, 1.0)),
        "hippocampus_3d": Plan(_scale("hippocampus_3d", [24, 32, 24], 16, 2, 10, 2), 48, 60, 3),
    },
    # As short, with candidates that train four times as long, where those of 32 steps rank by chance.
    "longer": {"acdc": Plan(_scale("acdc", [48, 48], 128, 8, 12, 8), 20, 30, 3, (2.0, 2.0, 1.0))},
    # For a share of a core without arithmetic in bf16, in whole slices: trainings of 120 steps of 4, candidates of 30.
    "plain": {
        "hippocampus": Plan(_scale("hippocampus", [48, 64], 60, 2, 8, 4, **_PLAIN), 24, 30, 2, chains=16),
        "acdc": Plan(_scale("acdc", [64, 64], 60, 2, 8, 4, **_PLAIN), 12, 20, 2, (2.0, 2.0, 1.0), 16),
    },
    # A first look at volumes on the same core: trainings of 60 steps of 2 patches, candidates of 12.
    "small3d": {
        "hippocampus_3d": Plan(_scale("hippocampus_3d", [24, 32, 24], 12, 2, 10, 2, **_PLAIN), 12, 16, 2, chains=16),
    },
    # For a GPU.
    "full": {
        "hippocampus_3d": Plan(
            _scale("hippocampus_3d", [32, 48, 32], 640, 10, 100, 16, seeds=3, **_FULL), 80, 0, 5, chains=200
        ),
        "acdc": Plan(_scale("acdc", [128, 128], 640, 10, 100, 16, seeds=3, **_FULL), 20, 0, 5, chains=200),
        "hippocampus": Plan(_scale("hippocampus", [48, 64], 640, 10, 100, 16, seeds=3, **_FULL), 80, 0, 5, chains=200),
    },
}
#: Searches of one space are compared with this one.
BLIND = "segqnas_random"
#: The reference first, then what is most worth comparing with it.
ARMS = (
    *("dynunet", "unet_emonas", "segqnas_qnas", "segqnas_evolution", "segqnas_random"),
    *("segresnet", "unet", "attention_unet", "dints_gradient", "dynunet_gentle"),
)


def patients_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Patient of each entry of an archive; without any named, each volume is one."""
    return arrays.get("patient", np.arange(len(arrays["labels"])))


def parted(arrays: Mapping[str, np.ndarray], searching: int, folding: int) -> tuple[list[int], list[int]]:
    """Patients for searches and for folds, with equal shares of each group where the archive has groups.

    Args:
        arrays: Arrays of the archive.
        searching: Number of patients for searches.
        folding: Number of patients for folds; 0 takes all others.
    """
    of = patients_of(arrays)
    names = list(dict.fromkeys(of.tolist()))
    group = arrays.get("group", np.zeros(len(of), int))
    order = np.random.default_rng(0).permutation(len(names))
    by_group: dict[int, list[int]] = {}
    for name in (names[i] for i in order):
        by_group.setdefault(int(group[of == name][0]), []).append(name)
    # The next patient always comes from the group of which the smallest share has come.
    drawn: list[int] = []
    taken = dict.fromkeys(sorted(by_group), 0)
    for _ in names:
        key = min((k for k in taken if taken[k] < len(by_group[k])), key=lambda k: (taken[k] / len(by_group[k]), k))
        drawn.append(by_group[key][taken[key]])
        taken[key] += 1
    return drawn[:searching], drawn[searching:][: folding or None]


def archives(source: Path, plan: Plan, work: Path) -> tuple[Path, Path]:
    """Archives of the patients of searches and of folds, without the division that the data set has."""
    paths = work / "searching.npz", work / "folding.npz"
    if all(path.is_file() for path in paths):
        return paths
    with np.load(source) as file:
        arrays = {key: file[key] for key in file.files if key != "split"}
    of = patients_of(arrays)
    for path, names in zip(paths, parted(arrays, plan.searching, plan.folding), strict=True):
        chosen = np.isin(of, names)
        partial = path.with_name(f"{path.stem}.{os.getpid()}.npz")  # others may make the same
        np.savez(partial, **{k: v[chosen] if v.ndim and len(v) == len(of) else v for k, v in arrays.items()})
        partial.replace(path)
    return paths


def task_of(path: Path, name: str, plan: Plan, fold: int | None, rate: float = RATE):
    """The task of searches, or of one fold."""
    import nasplug as nas
    from nasplug.data.volumes import Folds, NpzVolumes, Preparation
    from nasplug.tasks.segmentation import Patches, Scoring, Segmentation

    scale = plan.scale
    folds = Folds(val_fraction=0.25, test_fraction=0.0)
    if fold is not None:
        folds = Folds(count=plan.folds, fold=fold, test_fraction=0.0)
    return Segmentation(
        NpzVolumes(str(path), channels=["MRI"]),
        3 if len(scale.patch[name]) == 3 else 2,
        Patches(size=scale.patch[name], batch_size=scale.batch, per_epoch=scale.per_epoch),
        Preparation(spacing="median" if plan.spacing is None else list(plan.spacing)),
        folds,
        scoring=Scoring(overlap=0.25, windows=16, surface="test" if fold is None else "always"),
        training=nas.Training(lr=rate),
    )


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row from its file, or made and written whole."""
    if not path.is_file():
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(make()))
        partial.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def searched(name: str, arm: str, source: Path, plan: Plan, seed: int, work: Path, device: str) -> dict[str, Any]:
    """The genotype that an arm has in its space, and what it cost to find."""
    path, _ = archives(source, plan, work)
    task = task_of(path, name, plan, None)
    scale = replace(plan.scale, trials=plan.chains) if arm.startswith("segqnas") else plan.scale
    _, architecture, seconds, counts = search(arm, task, scale, seed, work, device)
    return {"genotype": architecture.genotype, "search_seconds": seconds, **counts}


def fold_of(
    name: str,
    arm: str,
    found: Mapping[str, Any],
    source: Path,
    plan: Plan,
    fold: int,
    seed: int,
    work: Path,
    device: str,
) -> dict[str, Any]:
    """One training on the other folds, and the scores of the patients of this one."""
    from nasplug.plugins.component import instantiate
    from nasplug.plugins.discovery import discover
    from nasplug.spaces.medical import MonaiSpace

    _, path = archives(source, plan, work)
    task = task_of(path, name, plan, fold, RATES.get(arm, RATE))
    if arm in BASELINES:
        space = MonaiSpace([arm.removesuffix("_gentle")])
    else:
        space = instantiate("space", space_of(arm, plan.scale, task.dimensions), discover().catalog, where=arm)
    architecture = space.architecture(_tuples(found["genotype"]))
    network, cases, seconds = train(space, architecture, task, plan.scale, seed, device, held="validate")
    return {
        "train_seconds": seconds,
        "classes": list(task.class_names[1:]),
        "cases": cases,
        **costs(network, task),
    }


def _tuples(genotype: Any) -> Any:
    return tuple(map(_tuples, genotype)) if isinstance(genotype, list) else genotype


def row(found: Sequence[Mapping[str, Any]], folds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means of an arm and their spread over folds.

    Args:
        found: Search of each seed.
        folds: Trainings of each seed, one for each fold.
    """
    classes = folds[0][0]["classes"]
    dice = np.array([[_mean(one, "dice") for one in runs] for runs in folds])  # (seeds, folds, classes)
    far = np.array([[_mean(one, "hd95") for one in runs] for runs in folds])
    by_fold, far_by_fold = np.nanmean(dice, axis=(0, 2)), np.nanmean(far, axis=(0, 2))
    everything = [one for runs in folds for one in runs]
    return {
        "dice": float(by_fold.mean()),
        "dice_spread": float(by_fold.std(ddof=1)),
        "dice_of_fold": by_fold.tolist(),
        "dice_of_class": {
            label: {"mean": float(values.mean()), "spread": float(values.std(ddof=1))}
            for label, values in zip(classes, dice.mean(0).T, strict=True)
        },
        "hd95": float(far_by_fold.mean()),
        "hd95_spread": float(far_by_fold.std(ddof=1)),
        **{key: statistics.mean(one[key] for one in everything) for key in (*_COSTS, "train_seconds")},
        **{key: statistics.mean(one[key] for one in found) for key in ("search_seconds", "trained_trials")},
        "genotypes": [one["genotype"] for one in found],
    }


_COSTS = ("params", "macs", "latency_s", "energy_j")


def _mean(one: Mapping[str, Any], key: str) -> list[float]:
    """Mean over the cases of each class; a class that a case does not hold is left out."""
    table = np.array([case[key] for case in one["cases"].values()], float)
    there = [column[~np.isnan(column)] for column in table.T]
    return [float(values.mean()) if len(values) else math.nan for values in there]


def table(arms: Mapping[str, Mapping[int, tuple[dict[str, Any], list[dict[str, Any]]]]]) -> dict[str, dict[str, Any]]:
    """Means of every arm, and its difference to the reference, over the seeds that have all folds.

    Args:
        arms: Search and trainings by arm and seed.
    """
    result: dict[str, dict[str, Any]] = {}
    for arm, by_seed in arms.items():
        if by_seed:
            result[arm] = row([one for one, _ in by_seed.values()], [folds for _, folds in by_seed.values()])
            result[arm]["seeds"] = sorted(by_seed)
    reference = arms.get(REFERENCE, {})
    for arm, told in result.items():
        both = sorted(set(arms[arm]) & set(reference))
        if arm == REFERENCE or not both:
            continue
        mine, theirs = ([_merged(runs[seed][1]) for seed in both] for runs in (arms[arm], reference))
        base = result[REFERENCE]
        difference = paired(mine, theirs)
        part = {key: told[key] / base[key] for key in _COSTS}
        told["to_dynunet"] = difference
        told["points_of_seed"] = {
            str(seed): paired([one], [other])["points"] for seed, one, other in zip(both, mine, theirs, strict=True)
        }
        told["of_dynunet"] = part | {"searches": told["search_seconds"] / base["train_seconds"]}
        told["target_reached"] = bool(
            difference["low"] > -0.5
            and max(part["params"], part["macs"]) <= 1 / 3
            and told["of_dynunet"]["searches"] <= 10
        )
    return result


def over_random(arms: Mapping[str, Mapping[int, tuple[dict[str, Any], list[dict[str, Any]]]]]) -> dict[str, Any]:
    """Difference of each other search of SegQNAS' space to random search, paired by patient, over common seeds."""
    result = {}
    for arm, by_seed in arms.items():
        both = sorted(set(by_seed) & set(arms.get(BLIND, {})))
        if arm.startswith("segqnas") and arm != BLIND and both:
            mine, theirs = ([_merged(runs[seed][1]) for seed in both] for runs in (by_seed, arms[BLIND]))
            result[arm] = paired(mine, theirs) | {"seeds": both}
    return result


def of_patients(arms: Mapping[str, Mapping[int, tuple[dict[str, Any], list[dict[str, Any]]]]]) -> dict[str, Any]:
    """Mean Dice of every patient, in the order of their names, by arm and seed."""
    return {
        arm: {
            str(seed): [round(float(np.nanmean(case["dice"])), 4) for case in _merged(folds)["cases"].values()]
            for seed, (_, folds) in by_seed.items()
        }
        for arm, by_seed in arms.items()
        if by_seed
    }


def _merged(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All patients of all folds; each is in one."""
    cases: dict[str, Any] = {}
    for number, one in enumerate(folds):
        again = sorted(set(cases) & set(one["cases"]))
        assert not again, f"patients of fold {number} are in an earlier one: {again}"
        cases |= one["cases"]
    return {"cases": dict(sorted(cases.items()))}


def measure(arguments: argparse.Namespace) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """All rows that are there or that there is time for, and what is missing."""
    until = time.monotonic() + 60 * arguments.minutes
    facts: dict[str, dict[str, Any]] = {"results": {}, "over_random": {}, "dice_of_patient": {}}
    missing = []
    for name, plan in PLANS[arguments.scale].items():
        work = (arguments.work / arguments.scale / name).resolve()
        work.mkdir(parents=True, exist_ok=True)
        source = arguments.data.resolve() / DATA[name]
        arms: dict[str, dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]] = {arm: {} for arm in ARMS}
        for seed in range(arguments.seeds or plan.scale.seeds):
            for arm in ARMS:

                def wanted(path: Path, name: str = name, arm: str = arm) -> bool:
                    asked = name in arguments.data_sets and arm in arguments.arms and not arguments.kept
                    return path.is_file() or (asked and time.monotonic() < until)

                told = (name, arm)
                file = work / f"{arm}-{seed}.search.json"
                if not wanted(file):
                    missing.append(f"{name}: {arm}, seed {seed}")
                    continue
                more = (source, plan, seed, work, arguments.device)
                found = kept(file, lambda told=told, more=more: searched(*told, *more))
                folds = []
                for fold in range(plan.folds):
                    file = work / f"{arm}-{seed}.fold{fold}.json"
                    if not wanted(file):
                        missing.append(f"{name}: {arm}, seed {seed}, fold {fold}")
                        continue
                    last = (found, source, plan, fold, seed, work, arguments.device)
                    folds.append(kept(file, lambda told=told, last=last: fold_of(*told, *last)))
                    scores = np.round(_mean(folds[-1], "dice"), 3).tolist()
                    print(name, arm, seed, fold, scores, round(folds[-1]["train_seconds"], 1), flush=True)
                if len(folds) == plan.folds:
                    arms[arm][seed] = (found, folds)
        if any(arms.values()):
            made = {"results": table(arms), "over_random": over_random(arms), "dice_of_patient": of_patients(arms)}
            for key, value in made.items():
                facts[key][name] = value
    return facts, missing


def main(argv: Sequence[str] | None = None) -> None:
    """Searches, trains and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with msd_hippocampus and acdc_cardiac2d")
    parser.add_argument("--scale", choices=PLANS, default="short")
    parser.add_argument("--data-sets", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--arms", nargs="+", choices=(*SEARCHES, *BASELINES), default=ARMS)
    parser.add_argument("--seeds", type=int, help="number of seeds; the scale's if left out")
    parser.add_argument("--minutes", type=float, default=1e6, help="time after which nothing is started")
    parser.add_argument("--work", type=Path, default=Path("runs/segmentation_folds"))
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--kept", action="store_true", help="write the record of what is kept, and run nothing")
    parser.add_argument("--out", type=Path, help="folder of the record; that of all records if left out")
    arguments = parser.parse_args(argv)
    made, missing = measure(arguments)
    result = made["results"]
    plans = PLANS[arguments.scale]
    facts = {
        "seeds": sorted({seed for arms in result.values() for told in arms.values() for seed in told["seeds"]}),
        "scale": arguments.scale,
        "settings": {name: asdict(plan) for name, plan in plans.items()},
        "target": TARGET,
        "hd95_unit": {name: UNITS[name] for name in plans},
        "not_run": [*missing, *[f"scale {each}" for each in PLANS if each != arguments.scale]],
    }
    more = {} if arguments.out is None else {"folder": arguments.out}
    name = "segmentation_folds" if arguments.scale == "short" else f"segmentation_folds_{arguments.scale}"
    print(record(name, {**facts, **made}, packages=("monai",), **more))


if __name__ == "__main__":
    main()
