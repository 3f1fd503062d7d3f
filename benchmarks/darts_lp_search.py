"""Mixed precision at equal bit operations: what the search finds, beside uniform bits and random bits of the same cost.

One residual network, whose convolutions choose weight bits and activation bits out of 1, 2, 4 and 8. A budget is the
cost, in bit operations, of the network with the same bits everywhere. For every budget and seed:

* `softmax`, `gumbel`, `gumbel_hard`: a search with a hinge on the budget in its loss, and the most probable network
  whose cost is at most the budget and at least 95 % of it;
* `uniform`: the same bits everywhere;
* `random`: networks with random bits and a cost in the same range.

All are trained from scratch alike, and tested once with the weights of the last epoch. The front holds the networks
that none beats in both cost and accuracy. Images of 28 x 28 (Fashion-MNIST, 12,000) or CIFAR-10 (JPEG); the data are
not part of the project. Runs that are done are kept in `--work` and not made again.

Run: python benchmarks/darts_lp_search.py --data fashion_mnist_12k.npz
Recorded: the same with --limit 4000 --epochs 8 --search-epochs 8 --random 2 --logits-lr 0.1
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import record

import nasplug as nas

BITS = (1, 2, 4, 8)
#: Costs from this share of the budget on count as equal to it.
EQUAL = 0.95
MIXINGS = ("softmax", "gumbel", "gumbel_hard")


def components(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Task and space."""
    source = nas.component("npz", path=str(arguments.data))
    task = nas.component(
        "image_classification",
        data=source,
        limit=arguments.limit,
        batch_size=arguments.batch,
        augment=arguments.augment,
        training={"lr": arguments.lr},
    )
    space = nas.component(
        "darts_lp.layers",
        width=arguments.width,
        blocks=arguments.blocks,
        operations=["conv"],
        kernels=[3],
        weight_bits=list(BITS),
        activation_bits=list(BITS),
    )
    return task, space


class Bench:
    """Searches and trainings, each made once and kept."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from nasplug_darts_lp.spaces.layers.space import LayersSpace
        from nasplug_darts_lp.supernet.options import SupernetOptions

        import nasplug.data

        self.arguments = arguments
        self.space = LayersSpace(
            width=arguments.width, blocks=arguments.blocks, operations=("conv",), kernels=(3,), weight_bits=BITS,
            activation_bits=BITS,
        )  # fmt: skip
        self.task = nas.ImageClassification(
            data=nasplug.data.Npz(str(arguments.data)),
            limit=arguments.limit,
            batch_size=arguments.batch,
            augment=arguments.augment,
            training=nas.Training(lr=arguments.lr),
        )
        self._supernet = self.space.supernet(self.task.input_shape, self.task.outputs, SupernetOptions())
        self.done: dict[str, Any] = json.loads(arguments.work.read_text()) if arguments.work.is_file() else {}

    def kept(self, key: str, make: Any) -> Any:
        """What `make` gives, or gave in an earlier run."""
        if key not in self.done:
            start = time.perf_counter()
            self.done[key] = make()
            self.arguments.work.write_text(json.dumps(self.done))
            print(f"{key}: {time.perf_counter() - start:.0f} s", flush=True)
        return self.done[key]

    def cost(self, architecture: nas.Architecture) -> float:
        """Bit operations, as a share of those of the network on 8x8 bits."""
        return float(self._supernet.cost(self._supernet.weights_of(architecture)))

    def uniform(self, bits: int) -> nas.Architecture:
        """The same bits everywhere."""
        index = BITS.index(bits)
        return self.space.from_vector([index if "bits" in c.name else 0 for c in self.space.choices])

    def random(self, budget: float, rng: np.random.Generator) -> nas.Architecture:
        """Random bits, changed at random places until the cost is that of the budget."""
        while True:
            found = self.space.sample(rng)
            for _ in range(500):
                cost = self.cost(found)
                if EQUAL * budget <= cost <= budget:
                    return found
                other = self.space.mutate(found, rng)
                if abs(self.cost(other) - 0.5 * (EQUAL + 1.0) * budget) < abs(cost - 0.5 * (EQUAL + 1.0) * budget):
                    found = other

    def search(self, mixing: str, budget: float, seed: int) -> Any:
        """Genotype of the network that a search finds, with what it says about it."""
        task, space = components(self.arguments)
        strategy = nas.component(
            "darts_lp.search",
            rounds=1,
            epochs=self.arguments.search_epochs,
            mixing={"kind": mixing},
            training={"optimizer": "adam", "lr": self.arguments.lr, "lr_min": 0.0},
            logits={"lr": self.arguments.logits_lr},
            cost={
                "weight": self.arguments.cost_weight,
                "loss": "hinge",
                "target": budget,
                "range": [EQUAL * budget, 1.000001 * budget],
            },
        )
        study = nas.search(
            task,
            space=space,
            strategy=strategy,
            trials=1,
            epochs=0,
            seed=seed,
            progress=False,
            batch=1,
            device=self.arguments.device,
        )
        if not study.trials:
            return None
        info = study.trials[0].proposal.info
        return {
            "genotype": study.trials[0].architecture.genotype,
            "probability": info["probability"],
            "losses": info["losses"],
            "probabilities": info["probabilities"],
        }

    def train(self, genotype: Any, seed: int) -> dict[str, float]:
        """Accuracies of a network that is trained from scratch."""
        import pytorch_lightning as pl
        import torch

        from nasplug.evaluate.trainer import device_options
        from nasplug.run.seeding import seed_everything

        torch.set_num_threads(1)
        seed_everything(seed)
        architecture = self.space.architecture(genotype)
        module = self.task.module(self.space.build(architecture, self.task), {})
        trainer = pl.Trainer(
            max_epochs=self.arguments.epochs,
            check_val_every_n_epoch=self.arguments.epochs,
            **device_options(self.arguments.device),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        data = self.task.datamodule()
        trainer.fit(module, datamodule=data)
        val = float(trainer.callback_metrics["val_acc"])
        test = float(trainer.test(module, datamodule=data, verbose=False)[0]["test_acc"])
        return {"val_acc": val, "test_acc": test, "cost": self.cost(architecture)}


def run_seed(bench: Bench, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All searches and trainings of one seed, by budget and way."""
    found: dict[str, Any] = {}
    for bits in arguments.budgets:
        budget = bench.cost(bench.uniform(bits))
        here: dict[str, Any] = {}
        for mixing in MIXINGS:
            key = f"seed {seed}, budget {bits}, {mixing}"
            searched = bench.kept(f"{key}, search", lambda m=mixing, b=budget: bench.search(m, b, seed))  # type: ignore[misc]
            if searched is not None:
                trained = bench.kept(f"{key}, train", lambda s=searched: bench.train(s["genotype"], seed))  # type: ignore[misc]
                here[mixing] = [trained | searched]
        same = bench.uniform(bits).genotype
        here["uniform"] = [bench.kept(f"seed {seed}, budget {bits}, uniform", lambda g=same: bench.train(g, seed))]  # type: ignore[misc]
        here["random"] = []
        for number in range(arguments.random):
            rng = np.random.default_rng([seed, bits, number])
            sampled = bench.random(budget, rng).genotype
            key = f"seed {seed}, budget {bits}, random {number}"
            here["random"].append(bench.kept(key, lambda g=sampled: bench.train(g, seed)))  # type: ignore[misc]
        found[str(bits)] = {"budget": budget, "ways": here}
    return found


def summary(seeds: dict[int, Any]) -> dict[str, Any]:
    """Means over seeds, by budget and way, and the distance of every way from uniform bits in the same seed."""
    result: dict[str, Any] = {}
    for bits in next(iter(seeds.values())):
        rows = result[bits] = {}
        for way in (*MIXINGS, "uniform", "random"):
            accuracies = [
                statistics.mean(one["test_acc"] for one in seed[bits]["ways"][way])
                for seed in seeds.values()
                if seed[bits]["ways"].get(way)
            ]
            if not accuracies:
                continue
            rows[way] = {
                "test_acc": statistics.mean(accuracies),
                "sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
                "cost": statistics.mean(
                    one["cost"] for seed in seeds.values() for one in seed[bits]["ways"].get(way, ())
                ),
                "seeds": len(accuracies),
            }
        for row in rows.values():
            row["over_uniform"] = row["test_acc"] - rows["uniform"]["test_acc"]
    return result


def front(seeds: dict[int, Any]) -> list[dict[str, Any]]:
    """All networks that no other one beats in both cost and test accuracy, from the cheapest on."""
    found = [
        {"way": way, "seed": seed, "cost": one["cost"], "test_acc": one["test_acc"]}
        for seed, budgets in seeds.items()
        for budget in budgets.values()
        for way, networks in budget["ways"].items()
        for one in networks
    ]
    best, kept = -1.0, []
    for one in sorted(found, key=lambda network: (network["cost"], -network["test_acc"])):
        if one["test_acc"] > best:
            best = one["test_acc"]
            kept.append(one)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz file of images")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--augment", default="none")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--logits-lr", type=float, default=0.02)
    parser.add_argument("--cost-weight", type=float, default=2.0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--search-epochs", type=int, default=12)
    parser.add_argument("--budgets", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--random", type=int, default=3, help="random networks per seed and budget")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("darts_lp_search.work.json"))
    parser.add_argument("--name", default="darts_lp_search")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    seeds = {seed: run_seed(bench, seed, arguments) for seed in range(arguments.seeds)}
    rows = summary(seeds)
    for bits, ways in rows.items():
        for way, row in ways.items():
            print(f"budget {bits}  {way:12} {row['test_acc']:.4f} +- {row['sd']:.4f}  cost {row['cost']:.4f}")
    if not arguments.dry:
        settings = {
            name: str(value.name) if isinstance(value, Path) else value for name, value in vars(arguments).items()
        }
        result = {"settings": settings, "seeds": list(seeds), "summary": rows, "front": front(seeds), "runs": seeds}
        record(arguments.name, result)


if __name__ == "__main__":
    main()
