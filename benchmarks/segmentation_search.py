"""Searches for segmentation networks beside networks of MONAI, at one training budget, on slices and volumes.

The space of SegQNAS is searched by Q-NAS, random search and regularized evolution, the space `unet` by EMONAS, the grid
of DiNTS by gradients, for as many epochs as a final training and without a bound on its size; UNet, SegResNet,
AttentionUnet and DynUNet, configured as nnU-Net would, are trained as they are. Every search sees training and
validation cases only. Its best network is then trained anew, alike for all arms, and tested once per case: Dice of each
class, HD95. Differences to DynUNet are paired by patient.

What is finished is kept in `--work`; `--arms` and `--data-sets` run a part. The record names what was not run.

    uv run python benchmarks/segmentation_search.py --data ../shared/data --scale tiny
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _record import record

import nasplug as nas


@dataclass(frozen=True)
class Scale:
    """Sizes of a run: cases of each part (None takes all), patch, and what searches and trainings may use.

    `part` is the part of DynUNet's parameters and products that a candidate may have; a larger one is not trained.
    `grid` holds blocks, resolutions and width of DiNTS; `precision` is that of all trainings. Without `bound_chains`,
    chains of SegQNAS may be as large as they are published, where a third of DynUNet leaves none of them.
    """

    cases: tuple[int, int, int] | None
    patch: dict[str, list[int]]
    per_epoch: int | None
    trials: int
    epochs: int
    final_epochs: int
    seeds: int
    nodes: int
    stem: int
    widths: tuple[int, ...]
    max_depth: int
    batch: int = 16
    part: float | None = None
    grid: tuple[int, int, float] = (6, 3, 0.5)
    precision: str = "32-true"
    bound_chains: bool = True


PATCHES = {"hippocampus": [48, 64], "acdc": [128, 128], "hippocampus_3d": [32, 48, 32]}
SCALES = {
    # For two busy cores: it shows that every arm runs, and decides nothing.
    "tiny": Scale(
        (6, 3, 6),
        {"hippocampus": [32, 32], "acdc": [64, 64], "hippocampus_3d": [16, 16, 16]},
        32,
        4,
        1,
        2,
        1,
        4,
        4,
        (4, 8),
        2,
    ),
    # For one core and a bit over an hour a data set, in small patches.
    "short": Scale(
        (40, 8, 40), {"hippocampus": [32, 48], "acdc": [64, 64]}, 320, 20, 2, 10, 2, 8, 8, (8, 16, 24), 3, 8, 1 / 3
    ),
    # For an idle machine of two cores: hours.
    "small": Scale((60, 20, 40), PATCHES, 640, 24, 3, 15, 3, 8, 8, (8, 16), 3, part=1 / 3),
    # For a GPU. Ten trainings of DynUNet at `final_epochs` are 1,000 epochs; a search takes 100 x 10.
    "full": Scale(
        *(None, PATCHES, None, 100, 10, 100, 5, 10, 16, (8, 16, 24, 32), 4),
        part=1 / 3,
        grid=(12, 4, 1.0),
        bound_chains=False,
    ),
}
#: Archive of each data set; those with patches of three sides are segmented in volumes, the others in slices.
DATA = {
    "hippocampus": "msd_hippocampus/msd_hippocampus.npz",
    "acdc": "acdc_cardiac2d/acdc_cardiac2d.npz",
    "hippocampus_3d": "msd_hippocampus/msd_hippocampus.npz",
}
#: What distances are in; the file of ACDC does not say the size of its pixels.
UNITS = {"hippocampus": "mm", "acdc": "pixels", "hippocampus_3d": "mm"}
SEARCHES = ("segqnas_qnas", "segqnas_random", "segqnas_evolution", "unet_emonas", "dints_gradient")
BASELINES = ("unet", "segresnet", "attention_unet", "dynunet", "dynunet_gentle")
#: Learning rate of all arms, and a lower one that shows whether the reference would prefer it.
RATE, RATES = 3e-3, {"dynunet_gentle": 1e-3}
REFERENCE = "dynunet"
TARGET = "wu32"


def subset(source: Path, scale: Scale, work: Path, name: str) -> Path:
    """An archive with the first cases of each part, as the data set divides them."""
    if scale.cases is None:
        return source
    path = work / f"{name}-{'-'.join(map(str, scale.cases))}.npz"
    if path.is_file():
        return path
    with np.load(source) as file:
        arrays = {key: file[key] for key in file.files}
    of = arrays.get("patient", np.arange(len(arrays["split"])))
    kept = np.zeros(len(of), bool)
    for part, count in enumerate(scale.cases):
        patients = list(dict.fromkeys(of[arrays["split"] == part].tolist()))[:count]
        kept |= np.isin(of, patients)
    np.savez(path, **{k: v[kept] if v.ndim and len(v) == len(of) else v for k, v in arrays.items()})
    return path


def space_of(arm: str, scale: Scale, dimensions: int):
    """The space of a search, as a component."""
    if arm.startswith("dints"):
        blocks, depth, width = scale.grid
        return nas.component("dints", dimensions=dimensions, blocks=blocks, depth=depth, width=width)
    if arm == "unet_emonas":
        return nas.component("unet", max_depth=scale.max_depth, widths=list(scale.widths))
    return nas.component("qnas.segmentation", nodes=scale.nodes, stem=scale.stem)


def strategy_of(arm: str, scale: Scale):
    """The strategy of a search; generations are a quarter of its trials."""
    size = max(2, scale.trials // 4)
    if arm.endswith("qnas"):
        return nas.component("qnas", preset="strong", evolution={"quantum_individuals": size})
    if arm.endswith("evolution"):
        return nas.component("regularized_evolution", population_size=2 * size, tournament_size=2)
    if arm.endswith("gradient"):
        return nas.component("gradient", epochs=scale.final_epochs)
    if arm.endswith("emonas"):
        return nas.component("emonas", population=size, offspring=size)
    return nas.component("random")


def task_of(path: Path, name: str, scale: Scale, rate: float = RATE):
    """The task: the same for searches and final trainings."""
    from nasplug.data.volumes import NpzVolumes
    from nasplug.tasks.segmentation import Patches, Scoring, Segmentation

    return Segmentation(
        NpzVolumes(str(path), channels=["MRI"]),
        3 if len(scale.patch[name]) == 3 else 2,
        Patches(size=scale.patch[name], batch_size=scale.batch, per_epoch=scale.per_epoch),
        scoring=Scoring(overlap=0.25, windows=16),
        training=nas.Training(lr=rate),
    )


def bounds(task, part: float | None) -> list[str]:
    """Constraints of a search: a part of what the reference has."""
    from nasplug.spaces.medical import MonaiSpace
    from nasplug.workloads.extract import extract

    if part is None:
        return []
    space = MonaiSpace([REFERENCE])
    network = space.build(space.sample(np.random.default_rng(0)), task)
    parameters = sum(each.numel() for each in network.parameters())
    products = int(extract(network.eval(), task.input_shape).macs.sum())
    return [f"params <= {part * parameters:.0f}", f"macs <= {part * products:.0f}"]


def clock(device: str) -> float:
    """Seconds that count: of the processor, which others may use too, or of the wall beside a GPU."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def search(arm: str, task, scale: Scale, seed: int, work: Path, device: str = "cpu"):
    """Best network of a search, or the network of a baseline, and what the search cost in seconds."""
    if arm in BASELINES:
        from nasplug.spaces.medical import MonaiSpace

        space = MonaiSpace([arm.removesuffix("_gentle")])
        return space, space.sample(np.random.default_rng(0)), 0.0, {"failed_trials": 0, "trained_trials": 0}
    gradient = arm.endswith("gradient")
    free = gradient or (arm.startswith("segqnas") and not scale.bound_chains)
    objectives = {"val_dice": "max", "macs": "min"} if arm.endswith("emonas") else {"val_dice": "max"}
    started = clock(device)
    study = nas.search(
        task,
        space=space_of(arm, scale, task.dimensions),
        evaluator=nas.component("lightning", precision=scale.precision),
        strategy=strategy_of(arm, scale),
        objectives=objectives,
        constraints=() if free else bounds(task, scale.part),
        trials=1 if gradient else scale.trials,
        epochs=1 if gradient else scale.epochs,
        seed=seed,
        storage=work / f"{arm}-{seed}.sqlite",
        device=device,
        progress=False,
    )
    states = [str(trial.state) for trial in study.trials]
    counts = {"failed_trials": states.count("failed"), "trained_trials": states.count("complete")}
    return study.space, study.best.architecture, clock(device) - started, counts


def train(space, architecture, task, scale: Scale, seed: int, device: str = "cpu", held: str = "test"):
    """Trains a network anew and scores it once, on the cases for the test, or (`validate`) on those that validate."""
    import torch
    from pytorch_lightning import Trainer

    from nasplug.evaluate.trainer import device_options
    from nasplug.run.seeding import seed_everything

    seed_everything(seed)
    module = task.module(space.build(architecture, task), {})
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options = {**dict.fromkeys(quiet, False), **device_options(device)}
    trainer = Trainer(
        max_epochs=scale.final_epochs,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=scale.final_epochs + 1,
        precision=scale.precision,
        **options,
    )
    data = task.datamodule()
    started = clock(device)
    trainer.fit(module, datamodule=data)
    seconds = clock(device) - started
    with torch.inference_mode():
        getattr(trainer, held)(module, datamodule=data, verbose=False)
    facts = task.cases.facts.cases
    cases = {facts[each.case].patient: {"dice": each.dice, "hd95": each.hd95} for each in module.table}
    return module.network, cases, seconds


def costs(network, task) -> dict[str, float]:
    """Parameters, products, and what the network costs on a small accelerator beside a microcontroller."""
    from nasplug_npu.unit import NPU

    from nasplug.workloads.extract import extract

    workload = extract(network.cpu().eval(), task.input_shape)
    found = NPU(TARGET, unsupported="cpu").totals(workload)
    priced = {key: float(value) for key, value in found.items() if key in ("latency_s", "energy_j")}
    parameters = sum(each.numel() for each in network.parameters())
    return {"params": parameters, "macs": int(workload.macs.sum()), **priced}


def one(name: str, arm: str, path: Path, scale: Scale, seed: int, work: Path, device: str = "cpu") -> dict:
    """One search with its final training, or what is kept of it."""
    kept = work / f"{arm}-{seed}.json"
    if kept.is_file():  # whole, as it is written last
        return json.loads(kept.read_text())
    task = task_of(path, name, scale, RATES.get(arm, RATE))
    space, architecture, seconds, counts = search(arm, task, scale, seed, work, device)
    network, cases, trained = train(space, architecture, task, scale, seed, device)
    found = {
        "genotype": architecture.genotype,
        "search_seconds": seconds,
        **counts,
        "train_seconds": trained,
        **costs(network, task),
        "classes": list(task.class_names[1:]),
        "cases": cases,
    }
    kept.write_text(json.dumps(found))
    return found


def means(runs: list[dict]) -> dict:
    """Means of an arm over seeds and cases: each class, their mean, and the spread over seeds."""
    table = np.array([[case["dice"] for case in run["cases"].values()] for run in runs], float)
    far = np.array([[case["hd95"] for case in run["cases"].values()] for run in runs], float)
    per_seed = np.nanmean(table, axis=(1, 2))
    return {
        "dice": float(per_seed.mean()),
        "dice_spread": float(per_seed.std(ddof=1)) if len(runs) > 1 else None,
        "dice_of_class": dict(zip(runs[0]["classes"], np.nanmean(table, axis=(0, 1)).tolist(), strict=True)),
        "hd95": float(np.nanmean(far)),
        **{key: statistics.mean(run[key] for run in runs) for key in runs[0] if key in _MEANS},
    }


_COSTS = ("params", "macs", "latency_s", "energy_j")
_MEANS = (*_COSTS, "search_seconds", "train_seconds", "failed_trials", "trained_trials")


def paired(runs: list[dict], reference: list[dict]) -> dict:
    """Difference of mean Dice per patient to the reference, in points: interval by bootstrap, and Wilcoxon's p."""
    from scipy.stats import wilcoxon

    def by_patient(of: list[dict]) -> np.ndarray:
        return np.array([[np.nanmean(case["dice"]) for case in run["cases"].values()] for run in of]).mean(0)

    difference = 100 * (by_patient(runs) - by_patient(reference))
    draws = np.random.default_rng(0).integers(len(difference), size=(10_000, len(difference)))
    low, high = np.percentile(difference[draws].mean(1), (2.5, 97.5)).tolist()
    p = float(wilcoxon(difference).pvalue) if np.any(difference) else 1.0
    return {"points": float(difference.mean()), "low": low, "high": high, "wilcoxon_p": p, "patients": len(difference)}


def table(arms: dict[str, dict[int, dict]]) -> dict[str, dict]:
    """Means of every arm over its seeds, and its difference to the reference over the seeds that both have."""
    found = {
        arm: means(list(by_seed.values())) | {"seeds": sorted(by_seed)} for arm, by_seed in arms.items() if by_seed
    }
    reference = arms.get(REFERENCE, {})
    for arm, row in found.items():
        both = sorted(set(arms[arm]) & set(reference))
        if arm != REFERENCE and both:
            mine, theirs = ([runs[seed] for seed in both] for runs in (arms[arm], reference))
            parts = {key: row[key] / found[REFERENCE][key] for key in ("params", "macs")}
            row["to_dynunet"] = paired(mine, theirs)
            row["of_dynunet"] = parts | {"searches": _trainings(arms[arm], reference)}
    return found


def _trainings(mine: dict[int, dict], theirs: dict[int, dict]) -> float:
    """Mean cost of a search in trainings of the reference, by the clock."""
    of = statistics.mean(run["train_seconds"] for run in theirs.values())
    return statistics.mean(run["search_seconds"] for run in mine.values()) / of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with msd_hippocampus and acdc_cardiac2d")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument(
        "--data-sets", nargs="+", choices=DATA, help="data sets; all that the scale has patches of if left out"
    )
    parser.add_argument("--arms", nargs="+", choices=(*SEARCHES, *BASELINES), default=[*BASELINES, *SEARCHES])
    parser.add_argument("--work", type=Path, default=Path("runs/segmentation_search"))
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument(
        "--kept", action="store_true", help="write the record of what is kept in --work, and run nothing"
    )
    parser.add_argument("--seeds", type=int, help="number of seeds; the scale's if left out")
    arguments = parser.parse_args()
    scale = SCALES[arguments.scale]
    seeds = list(range(arguments.seeds or scale.seeds))
    result: dict[str, dict] = {}
    for name in arguments.data_sets or scale.patch:
        work = (arguments.work / arguments.scale / name).resolve()
        work.mkdir(parents=True, exist_ok=True)
        path = subset(arguments.data.resolve() / DATA[name], scale, work, name)
        runs: dict[str, dict[int, dict]] = {}
        for arm in arguments.arms:
            runs[arm] = {}
            for seed in seeds:
                if not arguments.kept or (work / f"{arm}-{seed}.json").is_file():
                    runs[arm][seed] = one(name, arm, path, scale, seed, work, arguments.device)
                    print(name, arm, seed, means([runs[arm][seed]]), flush=True)
        result[name] = table(runs)
    missing = []
    for name in DATA:
        for arm in (*SEARCHES, *BASELINES):
            there = result.get(name, {}).get(arm, {}).get("seeds", [])
            lacking = [seed for seed in range(scale.seeds) if seed not in there]
            if lacking:
                missing.append(f"{name}: {arm}" + (f", seed {', '.join(map(str, lacking))}" if there else ""))
    other = [f"scale {each}" for each in SCALES if each != arguments.scale]
    facts = {
        "seeds": seeds,
        "scale": arguments.scale,
        "settings": asdict(scale),
        "target": TARGET,
        "hd95_unit": {name: UNITS[name] for name in result},
        "not_run": [*missing, *other],
    }
    print(record("segmentation_search", {**facts, "results": result}, packages=("monai",)))


if __name__ == "__main__":
    main()
