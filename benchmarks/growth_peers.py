"""Continuous growth beside FastNAS (nvidia-modelopt) and gromo: the same network, images, seeds and schedule.

All rows train side by side in the environment of the peers (see `_fastnas.py`), by the settings of `growth.py`, whose
rows `full`, `cgap_long` and `uniform_long` are trained again here. `_long` says that all work of a row comes to about
`--share` of that of training the whole network; the epochs of `cgap_long` follow from the work of its epochs in the
record of `growth.py`.

`fastnas` is what its authors do: it takes the whole network of `full`, prunes it by the accuracy on training images
that nothing else sees, and trains what is left for as many epochs again. `fastnas_long` trains the whole network for
half of the share, prunes by fewer images, and trains with what is left. `gromo` starts with an eighth of the channels
inside its blocks and grows to the parameters of `cgap_long`; its residual stream keeps its width, which the library
does not grow.

Work is six operations per multiply-accumulate that is trained; what forward passes, statistics and updates of the peers
took is counted by PyTorch's counter of operations, which knows products and convolutions.

Run, in the environment of the peers: OMP_NUM_THREADS=1 python benchmarks/growth_peers.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _fastnas as fastnas
import _gromo as gromo
import growth
import torch
from _continual import _whole, kept, mean_sd, task
from _inference import interval
from _record import RESULTS, record

from nasplug.cost.counts import count_macs, count_params

STRIDE = 2
#: Images of each of the 50 calibrating batches, of `fastnas` and of `fastnas_long`, and held images that the latter
#: scores by.
CALIBRATED, SMALL, FEWER = 16, 4, 256
#: Rows in the order in which they are trained: those at the same work first, for all seeds.
EQUAL = ("full", "cgap_long", "uniform_long", "fastnas_long", "gromo_long")
NAMES = (*EQUAL, "fastnas", "gromo")
#: Arguments that no result depends on.
OTHERS = ("data", "seeds", "work", "out", "kept")


def held(arguments: argparse.Namespace, data: Any) -> fastnas.Batch:
    """The training images after those that are trained on, scaled as those are."""
    images, part = _whole(str(arguments.data)), slice(arguments.train, arguments.train + arguments.held)
    scaled = (images.x_train[part] / 255 - data.prepared.mean) / data.prepared.std
    return torch.tensor(scaled).permute(0, 3, 1, 2).float(), torch.tensor(images.y_train[part]).long()


def measured(module: Any, trainer: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of a network at the end of its training."""
    (found,) = trainer.validate(module, datamodule=same(arguments).datamodule(), verbose=False)
    network = module.network
    return {
        "val_acc": found["val_acc"],
        "params": count_params(network),
        "macs": float(count_macs(network, growth.SHAPE)),
    }


def same(arguments: argparse.Namespace) -> Any:
    """The task of all rows."""
    return task(arguments.data, arguments.train, arguments.test)


def whole(seed: int, arguments: argparse.Namespace, file: Path) -> dict[str, Any]:
    """The whole network, whose weights are kept for FastNAS."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    module, trainer = fastnas.fit(same(arguments), growth.built(arguments, arguments.width), arguments.epochs, seed)
    found = measured(module, trainer, arguments)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(module.network.state_dict(), file)
    return {
        "epochs": arguments.epochs,
        **found,
        "work": 6.0 * found["macs"] * arguments.train * arguments.epochs,
        "seconds": time.perf_counter() - started,
    }


def pruned(seed: int, arguments: argparse.Namespace, allowed: float | None, file: Path) -> dict[str, Any]:
    """FastNAS, with as many epochs as the others before and after, or within so much work."""
    started, goal = time.perf_counter(), same(arguments)
    torch.manual_seed(seed)
    network = growth.built(arguments, arguments.width)
    epoch = 6.0 * count_macs(network, growth.SHAPE) * arguments.train
    first = arguments.epochs if allowed is None else max(1, int(allowed / 2 / epoch))
    params = arguments.keep * count_params(network)
    if allowed is None:
        network.load_state_dict(torch.load(file, weights_only=True))
    else:
        fastnas.fit(goal, network, first, seed)
    data = goal.datamodule()
    images, labels = held(arguments, data)
    some = arguments.held if allowed is None else FEWER
    network, searching = fastnas.prune(
        network,
        fastnas.calibration(data.train_dataloader(), CALIBRATED if allowed is None else SMALL),
        (images[:some], labels[:some]),
        params,
    )
    spent, smaller = first * epoch + searching, 6.0 * count_macs(network, growth.SHAPE) * arguments.train
    second = arguments.epochs if allowed is None else max(1, int((allowed - spent) / smaller))
    module, trainer = fastnas.fit(goal, network, second, seed)
    return {
        **{"epochs": first + second, "epochs_before": first, "held": some},
        **measured(module, trainer, arguments),
        "search_work": searching,
        "work": spent + second * smaller,
        "widths": [part.out_channels for part in network.modules() if isinstance(part, torch.nn.Conv2d)],
        "seconds": time.perf_counter() - started,
    }


def grown(seed: int, arguments: argparse.Namespace, epochs: int, params: float) -> dict[str, Any]:
    """Growth by gromo to a number of parameters."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    width = arguments.width
    network = gromo.network(width, [width * 2**block // gromo.SEED for block in range(3)], STRIDE)
    callback = gromo.Growing(gromo.goal(width, STRIDE, params), growth.SHAPE)
    module, trainer = fastnas.fit(same(arguments), network, epochs, seed, callback)
    return {
        "epochs": epochs,
        **measured(module, trainer, arguments),
        "search_work": callback.growing,
        "work": callback.work,
        "goal": callback.goal,
        "hidden": [block.hidden_neurons for block in callback.blocks(module)],
        "steps": callback.steps,
        "seconds": time.perf_counter() - started,
    }


def work_of_growth(seed: int) -> float:
    """Work of an epoch of `cgap_long` in the record of `growth.py`; of the first seed if this one is not in it."""
    rows = [row for row in json.loads((RESULTS / "growth.json").read_text())["runs"] if row["method"] == "cgap_long"]
    own = [row for row in rows if row["seed"] == seed] or rows
    return float(own[0]["work"] / own[0]["epochs"])


@dataclass(frozen=True)
class Rows:
    """Rows by method and seed, each trained when it is first asked for, and kept in a file.

    Attributes:
        arguments: Settings.
        folder: Folder of the files.
    """

    arguments: argparse.Namespace
    folder: Path

    def file(self, name: str, seed: int) -> Path:
        """The file of a row."""
        return self.folder / f"{name}-{seed}.json"

    def row(self, name: str, seed: int) -> dict[str, Any]:
        """One row."""
        return kept(self.file(name, seed), lambda: self.made(name, seed)) | {"method": name, "seed": seed}

    def made(self, name: str, seed: int) -> dict[str, Any]:
        """One training."""
        settings, weights = self.arguments, self.folder / f"full-{seed}.pt"
        if name == "full":
            return whole(seed, settings, weights)
        full = self.row("full", seed)
        allowed, params = settings.share * full["work"], settings.keep * full["params"]
        if name == "cgap_long":
            return growth.run(name, seed, settings, settings.width, round(allowed / work_of_growth(seed)))
        if name == "uniform_long":
            networks = {width: growth.built(settings, width) for width in range(2, settings.width + 1)}
            narrow = min(networks, key=lambda width: abs(count_params(networks[width]) - params))
            epoch = 6.0 * count_macs(networks[narrow], growth.SHAPE) * settings.train
            return growth.run(name, seed, settings, narrow, round(allowed / epoch))
        if name.startswith("fastnas"):
            return pruned(seed, settings, allowed if name == "fastnas_long" else None, weights)
        epochs = settings.epochs
        if name == "gromo_long":
            short = self.row("gromo", settings.seeds[0])
            epoch = (short["work"] - short["search_work"]) / epochs
            epochs = max(1, round((allowed - short["search_work"]) / epoch))
        return grown(seed, settings, epochs, params)


def refused(arguments: argparse.Namespace) -> str:
    """What FastNAS says to the network with the divisor of widths that it has by default."""
    network = growth.built(arguments, arguments.width)
    batch = (torch.zeros(8, *growth.SHAPE), torch.zeros(8, dtype=torch.long))
    try:
        params = arguments.keep * count_params(network)
        found, _ = fastnas.prune(copy.deepcopy(network), [batch] * fastnas.CALIBRATING, batch, params, divisor=32)
    except ValueError as error:
        return f"{type(error).__name__}: {fastnas.reason(error)}"
    return f"none: it leaves {count_params(found)} parameters of {count_params(network)}"


def summed(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures by method, with intervals of 95 % of the differences within a seed."""
    rows = {(row["method"], row["seed"]): row for row in found}
    summary: dict[str, Any] = {}
    for name in dict.fromkeys(row["method"] for row in found):
        own = [row for row in found if row["method"] == name]
        whole = [rows["full", row["seed"]] for row in own]
        summary[name] = {
            "seeds": [row["seed"] for row in own],
            "val_acc": mean_sd([row["val_acc"] for row in own]),
            **{
                f"minus_{other}": interval([row["val_acc"] - rows[other, row["seed"]]["val_acc"] for row in own])
                for other in ("full", "cgap_long")
            },
            **{
                f"{key}_of_full": mean_sd([row[key] / first[key] for row, first in zip(own, whole, strict=True)])
                for key in ("params", "macs", "work")
            },
        }
        if all("search_work" in row for row in own):
            shares = [row["search_work"] / first["work"] for row, first in zip(own, whole, strict=True)]
            summary[name]["search_of_full"] = mean_sd(shares)
    return summary


def main() -> None:
    """Trains and records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--held", type=int, default=512, help="training images that FastNAS alone sees")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=1, choices=[1])
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--keep", type=float, default=0.36, help="share of the parameters to end with")
    parser.add_argument("--share", type=float, default=0.66, help="work of the long rows, of the whole network's")
    parser.add_argument("--kept", action="store_true", help="records the rows that are there, and trains nothing")
    parser.add_argument("--work", type=Path, default=Path("runs/growth-peers"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {key: value for key, value in vars(arguments).items() if key not in OTHERS}
    folder = arguments.work / "-".join(str(value) for value in settings.values())
    rows = Rows(arguments, folder)
    wanted = [(name, seed) for names in (EQUAL, NAMES[len(EQUAL) :]) for seed in arguments.seeds for name in names]
    missing = [each for each in wanted if arguments.kept and not rows.file(*each).is_file()]
    found = []
    for each in wanted:
        if each not in missing:
            found.append(rows.row(*each))
            print(
                *each, {key: found[-1][key] for key in ("epochs", "val_acc", "params", "work", "seconds")}, flush=True
            )
    hidden = [arguments.width * 2**block // gromo.SEED for block in range(3)]
    result = {
        "data": f"{growth.DATA}; FastNAS also sees training images that no other row does, by which it prunes",
        "note": "no GPU; two cores shared with other work, so that seconds say little",
        "settings": settings,
        "network": f"ResNet-8, width {arguments.width}, stem with stride {STRIDE}, projections",
        "seeds": arguments.seeds,
        "not_run": [f"{name} {seed}" for name, seed in missing],
        "fastnas_with_default_divisor": refused(arguments),
        "gromo_statistics_of_forward": {
            kind: gromo.price(arguments.width, hidden, STRIDE, 64, exact=kind == "exact")
            for kind in ("restricted", "exact")
        },
        "summary": summed(found),
        "seconds": sum(row["seconds"] for row in found),
        "runs": found,
    }
    folder_of = {} if arguments.out is None else {"folder": arguments.out}
    packages = ("nasplug-cgap", "nvidia-modelopt", "torchprofile", "gromo")
    record("growth_peers", result, packages=packages, **folder_of)


if __name__ == "__main__":
    main()
