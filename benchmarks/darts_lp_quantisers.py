"""Quantisers of activations on real images: one network, one recipe, several seeds, 1 to 4 bits, and floating point.

CIFAR-10 (JPEG): all 60,000 images of CIFAR-10, encoded anew as JPEG, so that accuracies are a little below those on the
original. A residual network is trained, weights and activations at the same number of bits, the first and the last
layer at 8, with SGD and a cosine schedule; nothing is chosen by results. Two bodies: `relu` has a ReLU before every
quantiser; `bireal` has a shortcut around every convolution and the quantiser reads the sum, as in ReActNet.

With `--pretrain`, every training of a seed starts from the same network, trained so many epochs in floating point, as
LSQ and PACT were published; `float` then goes on in floating point as long as the others. Without, all start afresh.

`brevitas` (2 bits and more) runs if that library is installed; give it an environment of its own, with brevitas
0.13.4 and dependencies 2.0.1, and the same `--work`. Each training is kept in `--work` as soon as it ends, so that an
interrupted benchmark goes on.

Run on a GPU: python benchmarks/darts_lp_quantisers.py --data cifar10_jpeg.npz --device cuda --workers 8
Recorded on two cores: the same with --blocks 1 --stem-stride 2 --pretrain 6 --epochs 0.35 --batch 64 --lr 0.03
Small: python benchmarks/darts_lp_quantisers.py --data cifar10_jpeg.npz --limit 2000 --epochs 1 --width 8 --seeds 1
--bits 2
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from dataclasses import fields
from pathlib import Path
from typing import Any

from _quantiser_networks import KINDS
from _quantiser_training import Recipe, train
from _record import record


def run(task: tuple[str, int | None, int, argparse.Namespace]) -> str:
    """One training, or what is left of an earlier run."""
    kind, bits, seed, arguments = task
    kept = file_of(kind, bits, seed, arguments)
    if kept.is_file():
        return kept.stem
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    first = kind == "pretrained"
    weights = file_of("pretrained", None, seed, arguments).with_suffix(".safetensors")
    start = weights if arguments.pretrain and not first else None
    result = train(kind, bits, seed, recipe, start=start, keep=weights if first else None)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(result))
    partial.rename(kept)
    print(f"{kept.stem}: {result['test_acc']:.4f}, {result['seconds_per_epoch']:.1f} s per epoch", flush=True)
    return kept.stem


def file_of(kind: str, bits: int | None, seed: int, arguments: argparse.Namespace) -> Path:
    """Where a training is kept: other settings have another place."""
    parts = {
        "w": arguments.width,
        "d": arguments.blocks,
        "s": arguments.stem_stride,
        "p": arguments.pretrain,
        "e": arguments.epochs,
        "b": arguments.batch,
        "lr": arguments.lr,
        "n": arguments.limit or "all",
    }
    recipe = "-".join([arguments.body, *(f"{name}{value}" for name, value in parts.items())])
    return arguments.work / recipe / f"{kind}-{'float' if bits is None else bits}-{seed}.json"


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over the seeds, by kind and bits."""
    found: dict[str, Any] = {}
    for result in results:
        bits = "float" if result["bits"] is None else f"bits_{result['bits']}"
        found.setdefault(result["kind"], {}).setdefault(bits, []).append(result)
    return {
        kind: {
            bits: {
                "mean": statistics.mean(run["test_acc"] for run in runs),
                "sd": statistics.stdev(run["test_acc"] for run in runs) if len(runs) > 1 else None,
                "seeds": sorted(run["seed"] for run in runs),
                "seconds_per_epoch": statistics.mean(run["seconds_per_epoch"] for run in runs),
                "parameters_in_training": runs[0]["parameters_in_training"],
                "parameters_after": runs[0].get("parameters_after"),
                "folded_differing": sum(run.get("folded_differing", 0) for run in runs),
                "folded_bytes": runs[0].get("folded_bytes"),
            }
            for bits, runs in by_bits.items()
        }
        for kind, by_bits in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_jpeg.npz")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bits", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--kind", nargs="+", choices=[*KINDS, "float", "brevitas"], default=["float", *KINDS])
    parser.add_argument("--body", choices=["relu", "bireal"], default="relu")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=3, help="blocks of each of the three stages")
    parser.add_argument("--stem-stride", type=int, default=1)
    parser.add_argument("--pretrain", type=int, default=0, help="epochs in floating point that all trainings share")
    parser.add_argument("--pretrain-lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=float, default=30, help="also a part of one")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--limit", type=int, default=None, help="images for training, and as many for the test")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--work", type=Path, default=Path("runs/darts_lp_quantisers"))
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    parser.add_argument("--no-record", action="store_true", help="train only, as a part of a benchmark elsewhere")
    parser.add_argument("--graph", action="store_true", help="capture a step once and replay it, on a GPU")
    arguments = parser.parse_args()
    # Seeds outside: a benchmark that is cut short has all kinds at fewer seeds.
    tasks = [
        (kind, bits, seed, arguments)
        for seed in range(arguments.seeds)
        for kind in arguments.kind
        for bits in ([None] if kind == "float" else arguments.bits)
        if not (kind == "brevitas" and bits == 1)  # its integer weights have no level there but 0
    ]
    if arguments.pretrain:
        for seed in range(arguments.seeds):
            run(("pretrained", None, seed, arguments))
    if arguments.workers > 1:
        with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
            for _ in pool.imap_unordered(run, tasks):
                pass
    else:
        for task in tasks:
            run(task)
    if arguments.no_record:
        return
    every = sorted(file_of("float", None, 0, arguments).parent.glob("*.json"))
    results = [json.loads(path.read_text()) for path in every]
    names = ("body", "width", "blocks", "stem_stride", "pretrain", "pretrain_lr", "epochs", "batch")
    options = {name: getattr(arguments, name) for name in names}
    result = {
        "data": "CIFAR-10 (JPEG), 45,000 training and 10,000 test images" if arguments.limit is None else "a part",
        "settings": options | {"lr": arguments.lr, "limit": arguments.limit, "device": arguments.device},
        "seeds": sorted({result["seed"] for result in results}),
        "summary": summary(results),
        "folded": {
            "integers": sum(result.get("folded_integers", 0) for result in results),
            "differing": sum(result.get("folded_differing", 0) for result in results),
        },
        "runs": results,
    }
    name = "darts_lp_quantisers" if arguments.body == "relu" else f"darts_lp_quantisers_{arguments.body}"
    record(name, result, packages=("nasplug-darts-lp",), **({} if arguments.out is None else {"folder": arguments.out}))


if __name__ == "__main__":
    main()
