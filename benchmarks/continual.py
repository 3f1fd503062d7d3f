"""Learners of class-incremental sequences beside each other: accuracy, forgetting, and work per image.

CIFAR-10 (JPEG), the schedules 5+5, 5x2 and 9+1, one small residual network (ResNet-8, stem with stride 2), the same
epochs for every stage and learner, and a memory of the same size for all that have one. The order of the classes, the
weights and the batches follow the seed. Defaults of our own variants were chosen with another seed, on images held out
of the training images.

Sizes are for one core: accuracies are far below those of full trainings, and compare learners only.

Run: OMP_NUM_THREADS=1 python benchmarks/continual.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from _continual import DATA, kept, mean_sd, task
from _record import record

import nasplug as nas

SCHEDULES = ("5+5", "5x2", "9+1")
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "naive": ("cgap.naive", {}),
    "ewc": ("cgap.ewc", {}),
    "lwf": ("cgap.lwf", {}),
    "replay": ("cgap.replay", {"memory": True}),
    "pst": ("cgap.pst", {"memory": True}),
    "pst_faithful": ("cgap.pst", {"memory": True, "faithful": True}),
    "acquire": ("cgap.acquire", {"memory": True}),
    "acquire_faithful": ("cgap.acquire", {"memory": True, "faithful": True}),
    "joint": ("cgap.joint", {}),
}
FIGURES = ("val_acc", "forgetting", "bwt", "fwt", "stage_acc", "acquire_flops_per_image", "train_flops_per_image")


def run(name: str, schedule: str, seed: int, arguments: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """One trial."""
    slug, options = LEARNERS[name]
    options = {**options, **more}
    if options.get("memory"):
        options["memory"] = {"size": arguments.memory}
    started = time.perf_counter()
    study = nas.search(
        task(arguments.data, arguments.train, arguments.test),
        space=nas.component("cgap.resnet", blocks=[1], widths=[16], shortcuts=[True], stem_stride=2),
        evaluator=nas.component(slug, schedule=schedule, order=seed, **options),
        objectives={"val_acc": "max"},
        trials=1,
        epochs=arguments.epochs,
        seed=seed,
        progress=False,
    )
    (trial,) = study.trials
    if trial.state != "complete":
        raise SystemExit(f"{name} {schedule} {seed}: {trial.failure}")
    stages = {stage: dict(metrics) for stage, metrics in trial.stages.items()}
    print(name, schedule, seed, f"{trial.metrics['val_acc']:.3f} {trial.metrics['forgetting']:.3f}", flush=True)
    return {
        "learner": name,
        "schedule": schedule,
        "seed": seed,
        "metrics": dict(trial.metrics),
        "stages": stages,
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES))
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), default=list(LEARNERS))
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--memory", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/continual"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    found = []
    for seed in arguments.seeds:
        for schedule in arguments.schedules:
            for name in arguments.learners:
                sizes = f"n{arguments.train}-t{arguments.test}-e{arguments.epochs}-m{arguments.memory}"
                path = arguments.work / sizes / f"{name}-{schedule}-{seed}.json"
                found.append(kept(path, lambda n=name, s=schedule, i=seed: run(n, s, i, arguments)))
    if arguments.no_record:
        return
    summary: dict[str, Any] = {}
    for schedule in arguments.schedules:
        for name in arguments.learners:
            some = [item for item in found if (item["learner"], item["schedule"]) == (name, schedule)]
            figures = {key: mean_sd([item["metrics"][key] for item in some]) for key in FIGURES}
            figures["memory_bytes"] = some[0]["metrics"]["memory_bytes"]
            work = figures["acquire_flops_per_image"]["mean"]
            figures["acquire_mflops_per_image"] = None if work is None else work / 1e6
            first = [item["stages"]["classes-0"]["seen_acc"] for item in some]
            figures["first_stage_acc"] = mean_sd(first)
            summary.setdefault(schedule, {})[name] = figures
    differences = {
        schedule: {
            name: mean_sd(
                [
                    ours["metrics"]["val_acc"] - theirs["metrics"]["val_acc"]
                    for ours in found
                    for theirs in found
                    if ours["schedule"] == theirs["schedule"] == schedule
                    and ours["seed"] == theirs["seed"]
                    and (ours["learner"], theirs["learner"]) == (name, "replay")
                ]
            )
            for name in arguments.learners
            if "replay" in arguments.learners
        }
        for schedule in arguments.schedules
    }
    result = {
        "data": DATA,
        "settings": {key: getattr(arguments, key) for key in ("train", "test", "epochs", "memory")},
        "network": "ResNet-8, width 16, stem with stride 2, projections",
        "seeds": arguments.seeds,
        "summary": summary,
        "val_acc_minus_replay": differences,
        "seconds": sum(item["seconds"] for item in found),
        "runs": found,
    }
    record(
        "continual", result, packages=("nasplug-cgap",), **({} if arguments.out is None else {"folder": arguments.out})
    )


if __name__ == "__main__":
    main()
