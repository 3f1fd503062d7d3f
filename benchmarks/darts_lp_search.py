"""Mixed precision at equal bit operations: what the search finds, beside uniform bits and random bits of the same cost.

One residual network, whose convolutions choose weight bits and activation bits out of 1, 2, 4 and 8. A budget is the
cost, in bit operations, of the network with the same bits everywhere. For every budget and seed:

* `hinge`: a search with samples (Gumbel-softmax) and a hinge on the budget in its loss; `derived`: the cost of the
  network that would be derived now in its place, two-sided around the budget; `joint`: the same with weights and logits
  trained together on all images. All three give the most probable network whose cost is at most the budget and at least
  95 % of it, by dynamic programming;
* `sensitivity`: one network with the most bits is trained, every block is measured with every pair of bits, and dynamic
  programming gives the least sum of what the losses rise by, for a cost in the same range;
* `uniform`: the same bits everywhere;
* `random`: networks with random bits and a cost in the same range.

All are trained from scratch alike, and tested once with the weights of the last epoch. Differences are paired by seed.
The front holds the networks that none beats in both cost and accuracy. With `--target npu:wu32` the cost is the energy
of each convolution on that unit instead of bit operations. `--ways` leaves out ways of searching. Images of 28 x 28
(Fashion-MNIST, 12,000) or CIFAR-10 (JPEG); the data are not part of the project. Runs that are done are kept in
`--work` and not made again.

Run: python benchmarks/darts_lp_search.py --data fashion_mnist_12k.npz
Recorded: the same with --limit 2000 --epochs 8 --search-epochs 8 --random 3 --logits-lr 0.1 --budgets 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _inference import interval
from _record import record

import nasplug as nas
from nasplug.contract.protocols import HardwareTarget

BITS = (1, 2, 4, 8)
#: Costs from this share of the budget on count as equal to it.
EQUAL = 0.95
#: Settings of the searches: cost and training.
SEARCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hinge": ({"loss": "hinge"}, {}),
    "derived": ({"loss": "two_sided", "priced": "derived"}, {}),
    "joint": ({"loss": "two_sided", "priced": "derived"}, {"optimisation": "joint"}),
}
#: Training images that losses are measured on.
MEASURED = 256


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
        from nasplug_darts_lp.supernet.cost import BitOperations, TargetCost
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
        cost = TargetCost(target_of(arguments.target)) if arguments.target else BitOperations()
        options = SupernetOptions(cost=cost)
        self._supernet = self.space.supernet(self.task.input_shape, self.task.outputs, options)
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
        """Bit operations, or energy, as a share of those of the network on 8x8 bits."""
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

    def sensitivity(self, budget: float, seed: int) -> Any:
        """Genotype of the network whose bits do least harm to a trained one, with the harm of every block and pair."""
        import torch
        from nasplug_darts_lp.layers.quantise import calibrate
        from nasplug_darts_lp.supernet.allocation import best_within
        from torch.nn import functional

        most = self.uniform(max(BITS))
        module, data = self._trained(most, seed, self.arguments.search_epochs)
        weights = module.network.state_dict()
        batches, count = [], 0
        for images, labels in data.train_dataloader():
            batches.append((images, labels))
            count += len(labels)
            if count >= MEASURED:
                break

        def loss(genotype: Any) -> float:
            network = self.space.build(self.space.architecture(genotype), self.task)
            own = network.state_dict()
            network.load_state_dict({n: v for n, v in weights.items() if own[n].shape == v.shape}, strict=False)
            calibrate(network, [images for images, _ in batches[:2]])
            with torch.inference_mode():
                values = [functional.cross_entropy(network.eval()(images), labels) for images, labels in batches]
            return float(torch.stack(values).mean())

        start = loss(most.genotype)
        tables, harms, costs = self._supernet.costs.tables(), [], []
        for block, table in enumerate(tables):
            harm, cost = [], []
            for w, weight_bits in enumerate(BITS):
                for a, activation_bits in enumerate(BITS):
                    genotype = list(most.genotype)
                    genotype[4 * block + 2 : 4 * block + 4] = [weight_bits, activation_bits]
                    harm.append(max(0.0, loss(tuple(genotype)) - start))
                    cost.append(float(table[0, w, a]))
            harms.append(harm)
            costs.append(cost)
        fixed = float(self._supernet.costs.fixed)
        scores = [[-value for value in harm] for harm in harms]
        for chosen in best_within(scores, costs, EQUAL * budget - fixed, budget * (1 + 1e-6) - fixed):
            genotype = list(most.genotype)
            for block, index in enumerate(chosen):
                genotype[4 * block + 2 : 4 * block + 4] = [BITS[index // len(BITS)], BITS[index % len(BITS)]]
            return {"genotype": genotype, "harms": [[round(value, 4) for value in harm] for harm in harms]}
        return None

    def search(self, way: str, budget: float, seed: int) -> Any:
        """Genotype of the network that a search finds, with what it says about it."""
        task, space = components(self.arguments)
        strategy = nas.component(
            "darts_lp.search",
            rounds=1,
            epochs=self.arguments.search_epochs,
            mixing={"kind": "gumbel"},
            training={"optimizer": "adam", "lr": self.arguments.lr, "lr_min": 0.0, **SEARCHES[way][1]},
            logits={"lr": self.arguments.logits_lr},
            cost={
                "weight": self.arguments.cost_weight,
                "target": budget,
                "range": [EQUAL * budget, 1.000001 * budget],
                **({"model": "target"} if self.arguments.target else {}),
                **SEARCHES[way][0],
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
            target=self.arguments.target,
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
        architecture = self.space.architecture(genotype)
        module, data = self._trained(architecture, seed, self.arguments.epochs)
        trainer = module.trainer
        val = float(trainer.callback_metrics["val_acc"])
        test = float(trainer.test(module, datamodule=data, verbose=False)[0]["test_acc"])
        return {"val_acc": val, "test_acc": test, "cost": self.cost(architecture)}

    def _trained(self, architecture: nas.Architecture, seed: int, epochs: int) -> tuple[Any, Any]:
        """A trained module, and its data."""
        import pytorch_lightning as pl
        import torch

        from nasplug.evaluate.trainer import device_options
        from nasplug.run.seeding import seed_everything

        torch.set_num_threads(1)
        seed_everything(seed)
        module = self.task.module(self.space.build(architecture, self.task), {})
        trainer = pl.Trainer(
            max_epochs=epochs,
            check_val_every_n_epoch=epochs,
            **device_options(self.arguments.device),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        data = self.task.datamodule()
        trainer.fit(module, datamodule=data)
        return module, data


def target_of(name: str) -> HardwareTarget:
    """The hardware target of a name such as `npu:wu32`."""
    from nasplug.plugins.discovery import discover
    from nasplug.run.assemble import find_target

    return find_target(name, discover().catalog)


def run_seed(bench: Bench, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All searches and trainings of one seed, by budget and way."""
    found: dict[str, Any] = {}
    for bits in arguments.budgets:
        budget = bench.cost(bench.uniform(bits))
        here: dict[str, Any] = {}
        for way in arguments.ways:
            key = f"seed {seed}, budget {bits}, {way}"
            made = bench.sensitivity if way == "sensitivity" else partial(bench.search, way)
            searched = bench.kept(f"{key}, search", lambda m=made, b=budget: m(b, seed))  # type: ignore[misc]
            if searched is not None:
                trained = bench.kept(f"{key}, train", lambda s=searched: bench.train(s["genotype"], seed))  # type: ignore[misc]
                here[way] = [trained | searched]
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
    """Means over seeds by budget and way, and the differences from uniform and from random bits, paired by seed."""
    result: dict[str, Any] = {}
    for bits in next(iter(seeds.values())):
        here = [seed[bits]["ways"] for seed in seeds.values()]
        rows: dict[str, Any] = {}
        result[bits] = rows
        for way in (*SEARCHES, "sensitivity", "uniform", "random"):
            with_it = [ways for ways in here if ways.get(way)]
            if not with_it:
                continue
            accuracies = [statistics.mean(one["test_acc"] for one in ways[way]) for ways in with_it]
            rows[way] = {
                "test_acc": statistics.mean(accuracies),
                "sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
                "cost": statistics.mean(one["cost"] for ways in with_it for one in ways[way]),
                "seeds": len(accuracies),
            }
            for other in ("uniform", "random"):
                pairs = [
                    mine - statistics.mean(one["test_acc"] for one in ways[other])
                    for mine, ways in zip(accuracies, with_it, strict=True)
                ]
                rows[way][f"over_{other}"] = interval(pairs)
        # What there is to find: how far assignments of one cost differ in one seed, beside what the seed alone does.
        apart = [statistics.variance([one["test_acc"] for one in ways["random"]]) for ways in here]
        rows["random"]["sd_between_assignments"] = statistics.mean(apart) ** 0.5
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--target", help="hardware target whose energy is the cost; default: bit operations")
    parser.add_argument(
        "--ways",
        nargs="*",
        default=[*SEARCHES, "sensitivity"],
        choices=[*SEARCHES, "sensitivity"],
        help="ways beside uniform and random bits",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("darts_lp_search.work.json"))
    parser.add_argument("--name", default="darts_lp_search")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    seeds = {seed: run_seed(bench, seed, arguments) for seed in arguments.seeds}
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
