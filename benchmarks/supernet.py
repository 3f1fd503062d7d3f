"""One training, a thousand evaluations: does the evaluator `supernet` rank networks, and does a search gain by it?

A small space of a user's own: five residual blocks, each left out or with a convolution of 1x1 or 3x3 pixels, full or
by channel, and two widths inside; 16,807 networks, of which those that never look beyond a pixel are poor. Images of
Fashion-MNIST, reduced to 7 x 7 pixels; the data are not part of the project.

* Rank: networks are drawn at random, scored by a supernet and trained alone; Kendall's tau and Spearman's rho of the
  two, beside those of two trainings alone with different seeds, which is as good as any score can be here.
* Search: evolution over 1,000 candidates scored by the supernet, whose best three are then trained alone; random search
  spends the same images on trainings alone. Both take the network that is best in validation, and test it once. What
  1,000 scores cost, forward passes alone, is stated as seconds and is not in these images.

Runs that are done are kept in `--work` and not made again.

Run: python benchmarks/supernet.py --data fashion_mnist_12k.npz
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _inference import interval
from _record import record
from torch import Tensor, nn

import nasplug as nas
import nasplug.data

KINDS = ("conv1", "conv3", "depthwise")
WIDTHS = (4, 24)
CHANNELS = 16
BLOCKS = 5


class Block(nn.Module):
    """A residual block: (N, C, H, W) to the same.

    Args:
        kind: Kind of the convolution.
        width: Number of channels inside.
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        if kind == "depthwise":
            inner: list[nn.Module] = [nn.Conv2d(CHANNELS, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inner += [nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)]
        else:
            kernel = int(kind[-1])
            inner = [nn.Conv2d(CHANNELS, width, kernel, padding=kernel // 2, bias=False)]
        out = nn.Conv2d(width, CHANNELS, 1, bias=False)
        self.body = nn.Sequential(*inner, nn.BatchNorm2d(width), nn.ReLU(), out, nn.BatchNorm2d(CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        """Adds what the block computes."""
        return x + self.body(x)


class Blocks(nas.ChoiceSpace):
    """Stem, five blocks and head."""

    def __init__(self) -> None:
        options = ["skip", *(f"{kind} {width}" for kind in KINDS for width in WIDTHS)]
        super().__init__("blocks", [nas.Choice(f"block{at}", tuple(options)) for at in range(BLOCKS)])

    def build(self, architecture: nas.Architecture, task: Any) -> nn.Module:
        """Builds a network whose layers have the same names wherever they are the same layer."""
        network = nn.Sequential()
        stem = nn.Conv2d(task.input_shape[0], CHANNELS, 1, bias=False)
        network.add_module("stem", nn.Sequential(nn.AvgPool2d(4), stem, nn.BatchNorm2d(CHANNELS), nn.ReLU()))
        for at, option in enumerate(architecture.genotype):  # type: ignore[arg-type]
            if option != "skip":
                kind, _, width = str(option).partition(" ")
                network.add_module(f"block{at}", Block(kind, int(width)))
            if at == BLOCKS // 2:
                network.add_module("pool", nn.MaxPool2d(2))
        network.add_module("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 10)))
        return network


class Bench:
    """Trainings and searches, each made once and kept."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.task = nas.ImageClassification(
            data=nasplug.data.Npz(str(arguments.data)),
            limit=arguments.limit,
            batch_size=64,
            split=nasplug.data.Split(val_fraction=1 / 3),
            training=nas.Training(lr=arguments.lr),
        )
        self.done: dict[str, Any] = json.loads(arguments.work.read_text()) if arguments.work.is_file() else {}

    def kept(self, key: str, make: Any) -> Any:
        """What `make` gives, or gave in an earlier run."""
        if key not in self.done:
            start = time.perf_counter()
            self.done[key] = make()
            self.done[key]["seconds"] = time.perf_counter() - start
            self.arguments.work.write_text(json.dumps(self.done))
            print(f"{key}: {self.done[key]['seconds']:.0f} s", flush=True)
        return self.done[key]

    def search(self, seed: int, **options: Any) -> nas.Study:
        """A search of the space."""
        return nas.search(self.task, space=Blocks(), seed=seed, progress=False, rehearse=False, **options)

    def scores(self, seed: int, genotypes: list[Any]) -> dict[str, Any]:
        """Validation accuracy of networks by a supernet."""
        study = self.search(seed, evaluator=self.supernet(), enqueue=genotypes, trials=len(genotypes))
        return {"val_acc": [trial.metrics["val_acc"] for trial in study.trials]}

    def supernet(self) -> Any:
        """The evaluator."""
        arguments = self.arguments
        return nas.component(
            "supernet", epochs=arguments.supernet_epochs, sampling=arguments.sampling, recalibrate=arguments.recalibrate
        )

    def alone(self, seed: int, genotypes: list[Any]) -> dict[str, Any]:
        """Validation accuracy of networks that are trained alone, and the test accuracy of the best."""
        import pytorch_lightning as pl

        with tempfile.TemporaryDirectory() as folder:
            study = self.search(
                seed,
                enqueue=genotypes,
                trials=len(genotypes),
                epochs=self.arguments.epochs,
                storage=Path(folder) / "study.sqlite",
            )
            best = study.best
            module = self.task.module(study.network(best), {})
            trainer = pl.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
            test = float(trainer.test(module, datamodule=self.task.datamodule(), verbose=False)[0]["test_acc"])
            accuracies = [trial.metrics["val_acc"] for trial in study.trials]
        return {"val_acc": accuracies, "best": best.architecture.genotype, "test_acc": test}

    def evolution(self, seed: int) -> dict[str, Any]:
        """Evolution by the supernet, and its best networks."""
        study = self.search(
            seed, evaluator=self.supernet(), strategy="regularized_evolution", trials=self.arguments.candidates
        )
        ranked = sorted(study.candidates(), key=study.score, reverse=True)
        distinct = list({trial.architecture.key: trial for trial in ranked}.values())[: self.arguments.top]
        return {
            "top": [trial.architecture.genotype for trial in distinct],
            "scores": [trial.metrics["val_acc"] for trial in distinct],
            "evaluated": len({trial.architecture.key for trial in study.trials}),
        }


def drawn(seed: int, count: int) -> list[Any]:
    """Genotypes drawn from the space, all different."""
    rng, space, found = np.random.default_rng(seed), Blocks(), {}
    while len(found) < count:
        architecture = space.sample(rng)
        found.setdefault(architecture.key, list(architecture.genotype))
    return list(found.values())


def agreement(first: list[float], second: list[float]) -> dict[str, float]:
    """Rank correlations of two lists."""
    from scipy import stats

    return {
        "kendall": float(stats.kendalltau(first, second).statistic),
        "spearman": float(stats.spearmanr(first, second).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz file of images")
    parser.add_argument("--limit", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--epochs", type=int, default=8, help="number of epochs of a training alone")
    parser.add_argument("--supernet-epochs", type=int, default=40)
    parser.add_argument("--sampling", default="single_path")
    parser.add_argument("--recalibrate", type=int, default=3)
    parser.add_argument("--networks", type=int, default=20, help="networks whose ranks are compared")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--top", type=int, default=3, help="best candidates that are trained alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("supernet.work.json"))
    parser.add_argument("--name", default="supernet")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    genotypes = drawn(0, arguments.networks)
    rank: dict[str, Any] = {}
    alone = [bench.kept(f"alone {seed}", lambda s=seed: bench.alone(s, genotypes)) for seed in (100, 101)]  # type: ignore[misc]
    truth = [statistics.mean(pair) for pair in zip(*(run["val_acc"] for run in alone), strict=True)]
    rank["between_trainings"] = agreement(*(run["val_acc"] for run in alone))
    rows = []
    for seed in arguments.seeds:
        scores = bench.kept(f"scores {seed}", lambda s=seed: bench.scores(s, genotypes))["val_acc"]  # type: ignore[misc]
        rows.append({"with_one": agreement(scores, alone[0]["val_acc"]), "with_mean": agreement(scores, truth)})
    for which in ("with_one", "with_mean"):
        rank[which] = {name: interval([row[which][name] for row in rows]) for name in ("kendall", "spearman")}
    # The images of one search: the shared training, and the trainings of the best alone.
    trainings = arguments.supernet_epochs // arguments.epochs + arguments.top
    found: dict[str, list[float]] = {"supernet": [], "random": []}
    for seed in arguments.seeds:
        top = bench.kept(f"evolution {seed}", lambda s=seed: bench.evolution(s))["top"]  # type: ignore[misc]
        best = bench.kept(f"best {seed}", lambda s=seed, t=top: bench.alone(s, t))  # type: ignore[misc]
        others = drawn(1000 + seed, trainings)
        random = bench.kept(f"random {seed}", lambda s=seed, o=others: bench.alone(s, o))  # type: ignore[misc]
        found["supernet"].append(best["test_acc"])
        found["random"].append(random["test_acc"])
    search = {name: interval(values) for name, values in found.items()}
    search["difference"] = interval([a - b for a, b in zip(found["supernet"], found["random"], strict=True)])
    result = {
        "settings": {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)},
        "seeds": arguments.seeds,
        "rank": rank,
        "search": {"trainings": trainings, "test_acc": search, "by_seed": found},
        "spread": {"sd": statistics.stdev(truth), "least": min(truth), "most": max(truth)},
        "seconds": {key: run["seconds"] for key, run in bench.done.items()},
        "runs": bench.done,
    }
    print(json.dumps({key: result[key] for key in ("rank", "search", "spread")}, indent=1))
    if not arguments.dry:
        record(arguments.name, result)


if __name__ == "__main__":
    main()
