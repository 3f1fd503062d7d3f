"""Bits for a network of one's own: `darts_lp.sensitivity` beside uniform and random bits of the same cost.

A residual network of three stages is trained in floating point. The strategy takes its weights, measures what every
layer suffers from 1, 2, 4 and 8 bits of weights and of inputs, and assigns bits within a budget: the cost of the
network with 2 bits everywhere, once in bit operations and once in the energy on a neural processing unit. Its network,
the one with the same bits everywhere, and networks with random bits that cost 95 % to 100 % of the budget are then
fine-tuned from the same weights, all alike, and scored once, after the last epoch, on validation images that nobody
chooses by: sensitivities are measured on training images. Differences are paired by seed; a seed changes images,
weights and random bits.

Images of Fashion-MNIST, 14 x 14 pixels by means of 2 x 2; the data are not part of the project. What is done is kept in
`--work` and not made again.

Run: python benchmarks/darts_lp_sensitivity.py --data fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from _inference import interval
from _quantiser_networks import resnet
from _record import by_seed, record
from darts_lp_exhaustive import halved
from darts_lp_search import EQUAL, target_of
from nasplug_darts_lp.sensitivity.pricing import Pricer
from nasplug_darts_lp.spaces.bits.space import BitsSpace
from torch import nn

import nasplug as nas
import nasplug.data

BITS = (1, 2, 4, 8)
#: Costs that are limited, by the name of a row, with the target that they need.
COSTS = {"bit_operations": ("bit_operations", None), "energy": ("npu/energy_j", "npu:wu32")}
MEASURES = ("loss",)


def task_of(arguments: argparse.Namespace) -> nas.ImageClassification:
    """The images, with a large part of them for validation."""
    count = arguments.images + arguments.validation
    return nas.ImageClassification(
        data=nasplug.data.Npz(str(halved(arguments.data, arguments.work / "fashion14.npz"))),
        limit=count,
        batch_size=arguments.batch,
        split=nasplug.data.Split(val_fraction=arguments.validation / count),
        training=nas.Training(lr=arguments.lr),
    )


def pretrained(arguments: argparse.Namespace, task: nas.ImageClassification, seed: int) -> tuple[nn.Module, float]:
    """The network in floating point, trained, and its accuracy."""
    import pytorch_lightning as pl

    from nasplug.run.seeding import seed_everything

    seed_everything(seed)
    network = resnet(arguments.width, "relu", 1, 1)
    assert isinstance(network, nn.Sequential)
    network[0] = nn.Conv2d(1, arguments.width, 3, 1, 2, bias=False)  # 16 x 16, which the strides divide
    module = task.module(network, {})
    options: dict[str, Any] = {"enable_checkpointing": False, "enable_progress_bar": False, "logger": False}
    trainer = pl.Trainer(
        max_epochs=arguments.pretrain,
        check_val_every_n_epoch=arguments.pretrain,
        accelerator="cpu",
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(module, datamodule=task.datamodule())
    return network.eval(), float(trainer.callback_metrics["val_acc"])


def random_bits(space: BitsSpace, price: Pricer, limit: float, rng: np.random.Generator) -> nas.Architecture:
    """Random bits, changed at random places until the cost is that of the budget."""
    middle = 0.5 * (1.0 + EQUAL) * limit
    while True:
        found = space.sample(rng)
        for _ in range(1000):
            cost = price(found)
            if EQUAL * limit <= cost <= limit:
                return found
            other = space.mutate(found, rng)
            if abs(price(other) - middle) < abs(cost - middle):
                found = other


def scored(arguments: argparse.Namespace, task: Any, space: BitsSpace, target: str | None, **more: Any) -> Any:
    """The study of networks that are fine-tuned."""
    evaluator = nas.component("lightning", score="last", trainer={"check_val_every_n_epoch": arguments.epochs})
    settings = {"epochs": arguments.epochs, "target": target, "progress": False, "rehearse": False}
    return nas.search(task, space=space, evaluator=evaluator, **settings, **more)


def of_seed(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """All networks of one seed, by cost and by where their bits come from."""
    task = task_of(arguments)
    network, accuracy = pretrained(arguments, task, seed)
    space = BitsSpace(network, inputs=(1, 14, 14), weight_bits=BITS, activation_bits=BITS)
    found: dict[str, Any] = {"float": accuracy}
    for row, (cost, target) in COSTS.items():
        price = Pricer(space, task, None if target is None else target_of(target), cost)
        same, most = (dict.fromkeys(space.precisions, (bits, bits)) for bits in (2, max(BITS)))
        limit = price(space.assigned(same)) * (1 + 1e-9)
        here: dict[str, list[dict[str, Any]]] = {}
        for measure in MEASURES:
            strategy = nas.component(
                "darts_lp.sensitivity",
                keep={cost: limit / price(space.assigned(most))},
                measure=measure,
                epochs=0,
                batches=arguments.batches,
                compare=measure == MEASURES[0],
            )
            study = scored(arguments, task, space, target, strategy=strategy, trials=2, seed=seed)
            for trial in study.trials:
                name = measure if trial.proposal.info["role"] == "assigned" else "uniform"
                here.setdefault(name, []).append(facts(trial, price, limit))
        rng = np.random.default_rng([seed, len(row)])
        drawn = [random_bits(space, price, limit, rng).genotype for _ in range(arguments.random)]
        study = scored(arguments, task, space, target, enqueue=drawn, trials=len(drawn), seed=seed)
        here["random"] = [facts(trial, price, limit) for trial in study.trials]
        found[row] = here
    return found


def facts(trial: Any, price: Pricer, limit: float) -> dict[str, Any]:
    """What is kept of a network."""
    cost = price(trial.architecture) / limit
    return {"val_acc": trial.metrics["val_acc"], "cost": cost, "bits": list(trial.architecture.genotype)}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means by cost and row, and differences paired by seed."""
    result: dict[str, Any] = {}
    for cost in COSTS:
        means = {
            name: [statistics.mean(one["val_acc"] for one in seed[cost][name]) for seed in seeds]
            for name in (*MEASURES, "uniform", "random")
        }
        spread = [statistics.variance([one["val_acc"] for one in seed[cost]["random"]]) for seed in seeds]
        result[cost] = {
            name: {
                "val_acc": statistics.mean(values),
                "sd": statistics.stdev(values),
                "cost": statistics.mean(one["cost"] for seed in seeds for one in seed[cost][name]),
                "over_uniform": interval([a - b for a, b in zip(values, means["uniform"], strict=True)]),
                "over_random": interval([a - b for a, b in zip(values, means["random"], strict=True)]),
            }
            for name, values in means.items()
        }
        result[cost]["random"]["sd_between_assignments"] = statistics.mean(spread) ** 0.5
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz file of images, 28 x 28")
    parser.add_argument("--images", type=int, default=1000, help="number of training images")
    parser.add_argument("--validation", type=int, default=4000, help="number of validation images")
    parser.add_argument("--width", type=int, default=8, help="number of channels of the first stage")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--batches", type=int, default=3, help="number of batches that harms are measured on")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--pretrain", type=int, default=10, help="number of epochs in floating point")
    parser.add_argument("--epochs", type=int, default=4, help="number of epochs of a fine-tuning")
    parser.add_argument("--random", type=int, default=3, help="number of networks with random bits, by cost and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--work", type=Path, default=Path("runs/darts_lp_sensitivity"))
    parser.add_argument("--name", default="darts_lp_sensitivity")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    seeds = by_seed(arguments.work / "seeds.json", arguments.seeds, lambda seed: of_seed(arguments, seed))
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "seeds": arguments.seeds,
        "float": {
            "mean": statistics.mean(s["float"] for s in seeds),
            "sd": statistics.stdev(s["float"] for s in seeds),
        },
        "summary": summary(seeds),
        "runs": seeds,
    }
    print(json.dumps(result["summary"], indent=1))
    if not arguments.dry:
        record(arguments.name, result, packages=("scipy",))


if __name__ == "__main__":
    main()
