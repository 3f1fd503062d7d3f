"""Q-NAS beside random search and regularized evolution on Fashion-MNIST, at equal evaluations.

All strategies search the same space with the same prior over functions (random search draws from it, Q-NAS starts
from it), on the same split, with the same training, for the same number of trainings, over several seeds. Validation
accuracy drives the search; the best network of each run is then trained anew on the training part, longer, and tested
once.

The runs are kept in `--work`, so that an interrupted benchmark goes on where it was.

Run: python benchmarks/qnas_fashion.py --data fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from _record import record

import nasplug as nas

STRATEGIES: dict[str, Any] = {
    "random": nas.component("random"),
    "regularized_evolution": nas.component("regularized_evolution", population_size=20, tournament_size=5),
    "qnas_strong": nas.component("qnas", preset="strong"),
    # For few trainings: small generations and large steps, chosen on the synthetic problem of nasplug.testing.
    "qnas_short": nas.component("qnas", evolution={"quantum_individuals": 4, "max_update": 0.5}),
    "qnas_cifar2022": nas.component("qnas", preset="cifar2022"),
}


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What all strategies share."""
    return {
        "task": nas.component(
            "image_classification",
            data=nas.component("npz", path=str(arguments.data)),
            limit=arguments.limit,
            batch_size=32,
            split={"val_fraction": 0.4},
            training={"lr": 5e-3},
        ),
        "space": nas.component("qnas.conv", nodes=arguments.nodes, width=arguments.width),
        "epochs": arguments.epochs,
        "trials": arguments.trials,
        "workers": arguments.workers,
        "device": arguments.device,
        "batch": 4,
    }


def retrain(study: nas.Study, arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    """Trains the best architecture from scratch, longer and on more images, and tests it once."""
    import pytorch_lightning as pl
    import torch

    from nasplug.evaluate.trainer import device_options
    from nasplug.run.seeding import seed_everything

    torch.set_num_threads(2)
    task = nas.ImageClassification(
        data=_source(arguments), batch_size=64, limit=arguments.retrain_limit, training=nas.Training(lr=5e-3)
    )
    seed_everything(seed)
    module = task.module(study.space.build(study.best.architecture, task), {})
    trainer = pl.Trainer(
        max_epochs=arguments.retrain_epochs,
        **device_options(arguments.device),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    data = task.datamodule()
    trainer.fit(module, datamodule=data)
    val_acc = float(trainer.callback_metrics["val_acc"])
    test = trainer.test(module, datamodule=data, verbose=False)[0]
    return {"val_acc": val_acc, "test_acc": float(test["test_acc"])}


def _source(arguments: argparse.Namespace) -> Any:
    from nasplug.data import Npz

    return Npz(str(arguments.data))


def curve(study: nas.Study) -> list[float]:
    """Best validation accuracy after each trial."""
    best, found = 0.0, []
    for trial in study.trials:
        best = max(best, trial.metrics.get("val_acc", 0.0) if trial.state == "complete" else 0.0)
        found.append(best)
    return found


def one(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One search, or what is left of it, and the training of its best network."""
    started = time.perf_counter()
    study = nas.search(
        strategy=STRATEGIES[name],
        seed=seed,
        storage=arguments.work / f"{name}-{seed}.sqlite",
        progress=False,
        **settings(arguments),
    )
    kept = arguments.work / f"{name}-{seed}.json"
    if kept.is_file():  # tested before the benchmark was interrupted: once is enough
        final = json.loads(kept.read_text())
    else:
        final = retrain(study, arguments, seed)
        kept.write_text(json.dumps(final))
    best = study.best
    return {
        "seed": seed,
        "best_val_acc": best.metrics["val_acc"],
        "best_so_far": curve(study),
        "states": {s: sum(t.state == s for t in study.trials) for s in ("complete", "pruned", "failed")},
        "copied": sum(trial.copied_from is not None for trial in study.trials),
        "architecture": best.architecture.genotype,
        "retrained": final,
        "seconds": time.perf_counter() - started,
    }


def summary_of(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Mean and deviation over the seeds, by strategy."""
    return {
        name: {
            key: {"mean": statistics.mean(values), "sd": statistics.stdev(values) if len(values) > 1 else None}
            for key, values in (
                ("best_val_acc", [run["best_val_acc"] for run in found]),
                ("mean_best_so_far", [statistics.mean(run["best_so_far"]) for run in found]),
                ("test_acc_retrained", [run["retrained"]["test_acc"] for run in found]),
            )
        }
        for name, found in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=1600)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--retrain-epochs", type=int, default=4)
    parser.add_argument("--retrain-limit", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strategy", action="append", choices=list(STRATEGIES), help="repeatable; default: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("runs/qnas_fashion"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    names = arguments.strategy or list(STRATEGIES)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    # Seeds outside, strategies inside: a slow hour of the machine meets all of them.
    for seed in range(arguments.seeds):
        for name in names:
            runs[name].append(one(name, seed, arguments))
            best, final = runs[name][-1]["best_val_acc"], runs[name][-1]["retrained"]
            print(f"seed {seed} {name}: val {best:.4f}, retrained test {final['test_acc']:.4f}", flush=True)
    options = {key: value for key, value in vars(arguments).items() if key not in ("data", "work", "out", "strategy")}
    result = {
        "data": f"{arguments.data.name}: Fashion-MNIST, balanced excerpt of 10,000 training and 2,000 test images",
        "settings": options | {"val_fraction": 0.4, "batch_size": 32, "lr": 5e-3, "prior": "published"},
        "seeds": list(range(arguments.seeds)),
        "summary": summary_of(runs),
        "runs": runs,
    }
    record("qnas_fashion", result, **({} if arguments.out is None else {"folder": arguments.out}))


if __name__ == "__main__":
    main()
