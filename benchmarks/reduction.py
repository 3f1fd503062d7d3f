"""Reductions of a trained network to a quarter of its parameters: all strategies beside torch-pruning, at equal work.

CIFAR-10 (JPEG), a small residual network, trained first. Every method starts from that network and gets the same
training work: all that it trains and scores on the way counts, and what is left goes into the final training. Figures
are on test images, by which nothing but candidates of a search is chosen; `final` is the last epoch.

Sizes are for two cores: accuracies are far below those of full trainings, and compare rows only.

Run: OMP_NUM_THREADS=1 python benchmarks/reduction.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from _continual import mean_sd, task
from _record import record
from nasplug_cgap.resnet import ResNetSpace
from nasplug_reduction import ReductionSpace, shrink
from torch import nn

import nasplug as nas
from nasplug.cost.counts import count_macs, count_params
from nasplug.evaluate.trainer import quiet

METHODS = ("uniform", "greedy", "evolution", "supernet", "torch_pruning")
SHAPE = (3, 32, 32)
#: Batches of a recalibration, and images in one.
BATCHES, BATCH = 5, 64


def data(arguments: argparse.Namespace) -> Any:
    """The task."""
    return task(arguments.data, arguments.train, arguments.test)


def fitted(network: nn.Module, arguments: argparse.Namespace, epochs: int, seed: int) -> list[float]:
    """Trains a network as the task does, in a Trainer alone; accuracy of every epoch."""
    goal, found = data(arguments), []

    class Noting(pl.Callback):
        def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            found.append(float(trainer.callback_metrics["val_acc"]))

    pl.seed_everything(seed, verbose=False)
    with quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[Noting()],
        )
        trainer.fit(goal.module(network.train(), {}), datamodule=goal.datamodule())
    return found


def work(macs: float, epochs: float, arguments: argparse.Namespace, *, scored: float = 0) -> float:
    """Floating-point operations of a training, and of scoring a network with recalibration so many times."""
    return macs * (6 * epochs * arguments.train + 2 * scored * (BATCHES * BATCH + arguments.test))


def spent(study: nas.Study, arguments: argparse.Namespace) -> float:
    """Work of all trials of a study but the first, which scores the original network."""
    return sum(
        work(trial.costs["macs"], study.budget_of(trial).epochs, arguments, scored=study.budget_of(trial).epochs == 0)
        for trial in study.trials[1:]
    )


def reduced(method: str, network: nn.Module, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One reduction by a strategy, trained with the work that the search leaves."""
    settings: dict[str, Any] = {}
    if method == "greedy":
        settings = {"steps": arguments.steps, "candidates": arguments.candidates, "step_epochs": 1}
    elif method in ("evolution", "supernet"):
        settings = {"generations": 2, "children": 8}
    if method == "supernet":
        settings["supernet_epochs"] = arguments.supernet
    compare = {} if method == "uniform" else {"compare": False}
    result = shrink(
        network,
        data=data(arguments),
        keep=arguments.keep,
        epochs=0,
        strategy=nas.component(f"reduction.{method}", **settings, **compare),
        space={"recalibrate": BATCHES},
        seed=seed,
        progress=False,
    )
    before = spent(result.study, arguments) + (shared_work(network, arguments) if method == "supernet" else 0)
    return {"cut": result.found.metrics["val_acc"], **trained(result.network, seed, before, network, arguments)}


def trained(
    found: nn.Module, seed: int, before: float, network: nn.Module, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Trains a found network with what is left of the work that every method gets."""
    macs = count_macs(found, SHAPE)
    budget = work(arguments.keep * count_macs(network, SHAPE), arguments.epochs, arguments)
    epochs = max(1, round((budget - before) / work(macs, 1, arguments)))
    accuracies = fitted(found.requires_grad_(), arguments, epochs, seed)
    return {
        "params": count_params(found),
        "macs": macs,
        "final_epochs": epochs,
        "work": before + work(macs, epochs, arguments),
        "accuracies": accuracies,
    }


def shared_work(network: nn.Module, arguments: argparse.Namespace) -> float:
    """Work of training shared weights: the whole, the smallest and two random networks in every step."""
    import numpy as np

    space, rng = ReductionSpace.from_model(network, SHAPE), np.random.default_rng(0)
    drawn = [count_macs(space.skeleton(space.sample(rng)), SHAPE) for _ in range(10)]
    each = count_macs(network, SHAPE) + count_macs(space.skeleton(space.smallest), SHAPE) + 2 * float(np.mean(drawn))
    return work(each, arguments.supernet, arguments)


def torch_pruned(network: nn.Module, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The peer: torch-pruning by L2 norm with the ratio that leaves as many parameters, then trained."""
    import torch_pruning  # type: ignore[import-untyped]

    wanted, low, high = arguments.keep * count_params(network), 0.0, 0.99
    for _ in range(12):
        ratio = (low + high) / 2
        pruned = copy.deepcopy(network)
        heads = [part for part in pruned.modules() if isinstance(part, nn.Linear)]
        torch_pruning.pruner.BasePruner(
            pruned,
            torch.zeros(1, *SHAPE),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=heads,
        ).step()
        if count_params(pruned) <= wanted:
            high, best = ratio, pruned
        else:
            low = ratio
    return trained(best, seed, 0.0, network, arguments)


def original(seed: int, arguments: argparse.Namespace) -> tuple[nn.Module, float]:
    """The trained network, and its accuracy."""
    space = ResNetSpace(blocks=[arguments.blocks], widths=[arguments.width], shortcuts=[True], stem_stride=2)
    torch.manual_seed(seed)
    network = space.build(next(iter(space)), data(arguments))
    return network, fitted(network, arguments, arguments.pretraining, seed)[-1]


def main() -> None:
    """Trains, reduces and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--keep", type=float, default=0.25)
    parser.add_argument("--pretraining", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=16, help="work of every method, in epochs of the small network")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--supernet", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    originals = []
    for seed in range(arguments.seeds):
        network, accuracy = original(seed, arguments)
        originals.append(accuracy)
        print(f"seed {seed}: original {accuracy:.4f}", flush=True)
        for name in METHODS:
            started = time.perf_counter()
            row = (torch_pruned if name == "torch_pruning" else lambda *a, name=name: reduced(name, *a))(
                copy.deepcopy(network), seed, arguments
            )
            row |= {"seed": seed, "seconds": time.perf_counter() - started, "final": row["accuracies"][-1]}
            rows[name].append(row)
            print(f"  {name}: {row['final']:.4f}, {row['params']} parameters, work {row['work']:.3g}", flush=True)
    settings = {key: value for key, value in vars(arguments).items() if key not in ("data", "out")}
    result = {
        "data": "CIFAR-10 (JPEG), a part of the training images",
        "seeds": list(range(arguments.seeds)),
        "settings": settings,
        "original": {"val_acc": originals, "mean": mean_sd(originals)},
        "methods": {
            name: {
                "final": mean_sd([row["final"] for row in found]),
                "difference": mean_sd([row["final"] - one for row, one in zip(found, originals, strict=True)]),
                "params": mean_sd([row["params"] for row in found]),
                "work": mean_sd([row["work"] for row in found]),
                "runs": found,
            }
            for name, found in rows.items()
        },
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    record("reduction", result, packages=("nasplug-reduction", "torch-pruning"), **folder)


if __name__ == "__main__":
    main()
