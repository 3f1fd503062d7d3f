"""FastNAS (nvidia-modelopt) beside `uniform` and `sensitivity`, and all searches that matter on a network of timm.

Everything is as in `reduction.py`, of which this is the part that needs an environment of its own (see `_fastnas.py`):
all rows of a network start from the same trained one and do the same work, the search of a row included. FastNAS is
given validation images and calibrates, as the library does by itself, before it scores a candidate.

Every row is kept in `--work` as it ends, and a benchmark that was stopped goes on; that may be a folder of
`reduction.py`, whose rows of the same network are then taken. A row whose method fails is recorded
with what it said.

Run, in the environment of the peers: OMP_NUM_THREADS=1 python benchmarks/reduction_peers.py --data cifar10_jpeg.npz
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from _continual import kept
from _fastnas import reason
from _record import RESULTS, record
from _reduction_rows import compared
from _reduction_training import CALIBRATED, SCORED, Recipe, reduce
from reduction import NETWORKS, original
from torch import nn

FEW = ("uniform", "fastnas", "sensitivity", "torch_pruning")
MORE = ("uniform", "torch_pruning", "sensitivity", "evolution", "fastnas", "greedy")
#: Networks, shares of the parameters that stay, and methods, the most valuable first.
PARTS: list[tuple[str, float, tuple[str, ...]]] = [
    ("resnet", 0.25, FEW),
    ("resnet", 0.5, FEW),
    ("resnet", 0.15, FEW),
    ("test_resnet", 0.25, MORE),
    ("test_resnet", 0.5, MORE),
]


def row(method: str, network: nn.Module, keep: float, seed: int, recipe: Recipe) -> dict[str, Any]:
    """One row, or what the method said instead of an answer."""
    try:
        return reduce(method, network, keep, seed, recipe)
    except (ValueError, RuntimeError, AttributeError, KeyError, NotImplementedError) as error:
        why = f"{type(error).__name__}: {reason(error)}"
        return {"network": recipe.network, "method": method, "keep": keep, "seed": seed, "error": why}


def measure(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """All originals, all rows, and what is not there."""
    originals: dict[tuple[str, int], dict[str, Any]] = {}
    rows, missing = [], []
    for name, share, methods in PARTS[: arguments.parts]:
        for seed in range(arguments.seeds):
            recipe = Recipe(
                arguments.data,
                name,
                train=arguments.train,
                test=arguments.test,
                pretraining=arguments.pretraining,
                tuning=arguments.tuning,
                **NETWORKS[name],
            )
            files = {method: arguments.work / f"{name}-{share:g}-{method}-{seed}.json" for method in methods}
            wanted = {method: file for method, file in files.items() if not arguments.kept or file.is_file()}
            missing += [f"{name} {share:g} {method} {seed}" for method in methods if method not in wanted]
            if not wanted:
                continue
            network, first = original(recipe, seed, arguments.work)
            originals[name, seed] = first | {"network": name}
            for method, file in wanted.items():
                found = kept(file, lambda n=network, m=method, k=share, s=seed, r=recipe: row(m, n, k, s, r))
                rows.append(found)
                print(name, share, seed, method, found.get("test_acc", found.get("error")), flush=True)
    return list(originals.values()), rows, missing


def shared(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rows that are those of the record of `reduction.py`, trained in its environment from the same networks."""
    file = RESULTS / "reduction.json"
    known = json.loads(file.read_text())["rows"] if file.is_file() else []
    return [f"{row['network']} {row['keep']:g} {row['method']} {row['seed']}" for row in rows if row in known]


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, reduces and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/reduction-peers"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--pretraining", type=int, default=12, help="epochs of the original network")
    parser.add_argument("--tuning", type=int, default=6, help="work of every row, in epochs of the original network")
    parser.add_argument("--parts", type=int, default=len(PARTS), help="number of the parts, each a network and a share")
    parser.add_argument("--kept", action="store_true", help="records the rows that are there, and trains nothing")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    originals, rows, missing = measure(arguments)
    settings = {key: value for key, value in vars(arguments).items() if key not in ("data", "out", "work", "kept")}
    result = {
        "data": "CIFAR-10 (JPEG), a part of the images; validation images choose, figures are of test images",
        "note": "no GPU; two cores shared with other work, so that seconds say little",
        "seeds": list(range(arguments.seeds)),
        "settings": settings | {"networks": {name: NETWORKS[name] for name, *_ in PARTS}},
        "not_run": missing,
        "fastnas": {"calibrating_batch": CALIBRATED, "scored_by": SCORED},
        "shared": shared(rows),
        "failed": [each for each in rows if "error" in each],
        **compared(originals, [each for each in rows if "error" not in each]),
    }
    folder = {} if arguments.out is None else {"folder": arguments.out}
    packages = ("nasplug-reduction", "nvidia-modelopt", "torchprofile", "torch-pruning")
    record("reduction_peers", result, packages=packages, **folder)


if __name__ == "__main__":
    main()
