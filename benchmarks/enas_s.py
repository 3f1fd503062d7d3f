"""ENAS-S beside random search and a search for accuracy alone, at equal evaluations.

On eight classes of CIFAR-10 (JPEG) at 16 x 16 pixels, networks of the space `cgap.blocks` are trained for a few epochs.
Searches see validation images held out of the training images: `enas_s` and `enas_s_faithful` search for accuracy and
stability, `accuracy` is the same evolution for accuracy alone, `random` draws at random and takes the most accurate.
The winner of each is trained on the eight classes with another seed and acquires the other two (Acquisitive Learning);
accuracy, forgetting and size are then those on test images.

Run: OMP_NUM_THREADS=1 python benchmarks/enas_s.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from _continual import DATA, kept, mean_sd, task
from _record import record
from nasplug_cgap.sequence.task import StageTask

import nasplug as nas

SCHEDULE = "8+2"
#: Strategy, objective and whether stability is measured as the authors do.
SEARCHES: dict[str, tuple[str, dict[str, Any], str, bool]] = {
    "enas_s": ("cgap.enas_s", {"population": True}, "stability/fitness", False),
    "enas_s_faithful": ("cgap.enas_s", {"population": True, "faithful": True}, "stability/fitness", True),
    "accuracy": ("cgap.enas_s", {"population": True}, "val_acc", False),
    "random": ("random", {}, "val_acc", False),
}
FIGURES = ("val_acc", "seen_acc", "forgetting", "inherited_acc", "params")


def run(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """A search, and what becomes of its winner."""
    started = time.perf_counter()
    strategy, options, objective, faithful = SEARCHES[name]
    if options.get("population"):
        options = {**options, "population": arguments.population}
    space = nas.component("cgap.blocks", depth=arguments.depth, widths=arguments.widths)
    measured = nas.component("stability", alpha=0.8, draws=8, schedule=SCHEDULE, order=seed, faithful=faithful)
    study = nas.search(
        StageTask(task(arguments.data, arguments.train, None, halved=True), SCHEDULE, order=seed),
        space=space,
        strategy=nas.component(strategy, **options),
        costs=[measured, "params"],
        objectives={objective: "max"},
        constraints=["params <= 1e6"],
        trials=arguments.trials,
        epochs=arguments.epochs,
        seed=seed,
        progress=False,
    )
    best = study.best
    again = nas.search(
        task(arguments.data, arguments.train, arguments.test, halved=True),
        space=space,
        strategy=_One(best.architecture.genotype),
        evaluator=nas.component("cgap.acquire", schedule=SCHEDULE, order=seed, memory={"size": arguments.memory}),
        costs=["params"],
        objectives={"val_acc": "max"},
        trials=1,
        epochs=arguments.final_epochs,
        seed=1000 + seed,
        progress=False,
    )
    (trial,) = again.trials
    if trial.state != "complete":
        raise SystemExit(f"{name} {seed}: {trial.failure}")
    seconds = time.perf_counter() - started
    print(
        f"{name} {seed}: {trial.metrics['val_acc']:.3f} {trial.metrics['forgetting']:.3f} {seconds:.0f} s", flush=True
    )
    return {
        "search": name,
        "seed": seed,
        "network": study.label(best),
        "params": trial.costs["params"],
        "inherited_acc": trial.stages["classes-0"]["seen_acc"],
        **{key: trial.metrics[key] for key in ("val_acc", "seen_acc", "forgetting")},
        "seconds": seconds,
    }


class _One:
    """Proposes one network."""

    def __init__(self, genotype: Any) -> None:
        self.genotype = genotype

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        """It."""
        return [] if study.proposed else [study.proposal(study.space.architecture(self.genotype))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--searches", nargs="+", choices=list(SEARCHES), default=list(SEARCHES))
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 24])
    parser.add_argument("--population", type=int, default=5)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--final-epochs", type=int, default=6)
    parser.add_argument("--memory", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/enas_s"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    names = ("depth", "widths", "population", "trials", "train", "test", "epochs", "final_epochs", "memory")
    settings = {name: getattr(arguments, name) for name in names}
    folder = arguments.work / "-".join(str(value) for value in settings.values()).replace(", ", "+")
    found = [
        kept(folder / f"{name}-{seed}.json", lambda name=name, seed=seed: run(name, seed, arguments))
        for seed in arguments.seeds
        for name in arguments.searches
    ]
    summary = {
        name: {key: mean_sd([item[key] for item in found if item["search"] == name]) for key in FIGURES}
        for name in arguments.searches
    }
    result = {
        "data": DATA,
        "settings": settings | {"schedule": SCHEDULE, "pixels": 16},
        "seeds": arguments.seeds,
        "summary": summary,
        "seconds": sum(item["seconds"] for item in found),
        "runs": found,
    }
    where = {} if arguments.out is None else {"folder": arguments.out}
    record("enas_s", result, packages=("nasplug-cgap",), **where)


if __name__ == "__main__":
    main()
