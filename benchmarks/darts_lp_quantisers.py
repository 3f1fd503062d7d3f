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
import functools
import importlib.metadata
import json
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _record import record
from nasplug_darts_lp.folding import agreement, fold, size
from nasplug_darts_lp.layers.quantise import freeze, quantise
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

KINDS: dict[str, dict[str, Any]] = {
    "double_st": {},
    "double_st_sample": {"activations": "double_st", "squeeze": "sample"},
    "single_st": {},
    "threshold_st": {},
    "learnable": {},
    "fixed": {},
    "lsq": {},
    "lsq_weights": {"activations": "lsq", "weights": "lsq"},
    "pact": {},
}


class Block(nn.Module):
    """Two convolutions, with one shortcut around both or one around each."""

    def __init__(self, inputs: int, channels: int, stride: int, body: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.act1, self.act2 = (nn.ReLU() if body == "relu" else nn.PReLU(channels) for _ in range(2))
        self.each = body == "bireal"
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != channels:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W)."""
        short = self.shortcut(images)
        inner = self.bn1(self.conv1(images))
        inner = self.act1(inner + short if self.each else inner)
        return self.act2(self.bn2(self.conv2(inner)) + (inner if self.each else short))


def resnet(width: int, body: str, blocks: int, stem_stride: int) -> nn.Module:
    """Three stages; three blocks in each make a ResNet-20."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage in range(3):
        for block in range(blocks):
            layers.append(Block(channels, width * 2**stage, 2 if stage and not block else 1, body))
            channels = width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def brevitas_network(base: nn.Module, bits: int) -> nn.Module:
    """The same network with the layers of brevitas: learned scales, unsigned behind a ReLU and signed elsewhere."""
    import brevitas.nn as qnn
    from brevitas.quant import Int8ActPerTensorFloat, Uint8ActPerTensorFloat

    convs = [(name, module) for name, module in base.named_modules() if isinstance(module, nn.Conv2d)]
    unsigned = not any(isinstance(module, nn.PReLU) for module in base.modules())
    for name, layer in convs:
        first = layer is convs[0][1]
        width = 8 if first else bits
        quantiser = Uint8ActPerTensorFloat if unsigned and not first else Int8ActPerTensorFloat
        options = {"weight_bit_width": width, "input_quant": quantiser, "input_bit_width": width, "bias": False}
        made = qnn.QuantConv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, **options
        )
        made.weight.data.copy_(layer.weight.data)
        parent, _, last = name.rpartition(".")
        setattr(base.get_submodule(parent), last, made)
    head = base[-1]
    base[-1] = qnn.QuantLinear(
        head.in_features,
        head.out_features,
        True,
        weight_bit_width=8,
        input_quant=Uint8ActPerTensorFloat,
        input_bit_width=8,
    )
    base[-1].weight.data.copy_(head.weight.data)
    base[-1].bias.data.copy_(head.bias.data)
    return base


def made(kind: str, bits: int | None, seed: int, arguments: argparse.Namespace) -> nn.Module:
    """The network that is trained."""
    base = resnet(arguments.width, arguments.body, arguments.blocks, arguments.stem_stride)
    if arguments.pretrain and kind != "pretrained":
        base.load_state_dict(load_file(file_of("pretrained", None, seed, arguments).with_suffix(".safetensors")))
    if kind == "float" or bits is None:
        return base
    if kind == "brevitas":
        return brevitas_network(base, bits)
    options = {"activations": kind} | KINDS[kind]
    return quantise(base, weight_bits=bits, activation_bits=bits, **options)


@functools.lru_cache(maxsize=1)
def images_of(path: Path, limit: int | None) -> dict[str, torch.Tensor]:
    """Images as they are, uint8 (N, 3, 32, 32), and labels; the last tenth of the training images is not used."""
    from nasplug.data import Npz

    arrays = Npz(str(path)).load()
    keep = slice(0, limit or len(arrays.y_train) * 9 // 10)
    held = slice(0, None if limit is None else limit)
    pairs = {"train": (arrays.x_train[keep], arrays.y_train[keep]), "test": (arrays.x_test[held], arrays.y_test[held])}
    found = {}
    for name, (x, y) in pairs.items():
        found[f"x_{name}"] = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2).contiguous()
        found[f"y_{name}"] = torch.from_numpy(np.asarray(y, dtype=np.int64))
    return found


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Shifts by up to 4 pixels and mirrors, each image on its own."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, count, 1, 1, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)[:, None]
    columns = left + torch.arange(width, device=images.device)
    columns = torch.where(torch.rand(count, 1, 1, 1, device=images.device) < 0.5, columns, columns.flip(-1))
    return padded[
        torch.arange(count, device=images.device)[:, None, None, None],
        torch.arange(3, device=images.device)[:, None, None],
        rows,
        columns,
    ]


def groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; normalisation, biases and quantisers do not."""
    named = list(network.named_parameters())
    weights = [p for n, p in named if p.dim() > 1 and "quantiser" not in n and "_quant" not in n]
    chosen = {id(parameter) for parameter in weights}
    others = [parameter for _, parameter in named if id(parameter) not in chosen]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images that are classified rightly, in inference mode."""
    network.eval()
    with torch.no_grad():
        right = [(network(x).argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)]
    return float(torch.stack(right).sum()) / len(labels)


def run(task: tuple[str, int | None, int, argparse.Namespace]) -> str:
    """One training."""
    kind, bits, seed, arguments = task
    kept = file_of(kind, bits, seed, arguments)
    if kept.is_file():
        return kept.stem
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    data = images_of(arguments.data, arguments.limit)
    x_train = data["x_train"].to(device).float()
    mean, deviation = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
    x_train = (x_train - mean) / deviation
    x_test, y_test = (data["x_test"].to(device).float() - mean) / deviation, data["y_test"].to(device)
    y_train = data["y_train"].to(device)
    torch.manual_seed(seed)
    network = made(kind, bits, seed, arguments).to(device)
    if device.type == "cpu":
        network = network.to(memory_format=torch.channels_last)
        x_train, x_test = (x.contiguous(memory_format=torch.channels_last) for x in (x_train, x_test))
    first = kind == "pretrained"
    epochs, lr = (arguments.pretrain, arguments.pretrain_lr) if first else (arguments.epochs, arguments.lr)
    optimiser = torch.optim.SGD(groups(network, 5e-4), lr, momentum=0.9, nesterov=True)
    batches = len(y_train) // arguments.batch
    steps = max(1, round(epochs * batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, steps, pct_start=0.1)
    started, losses, order = time.perf_counter(), torch.zeros(steps, device=device), torch.zeros(0)
    network.train()
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(y_train), device=device)
        chosen = order[step % batches * arguments.batch :][: arguments.batch]
        loss = functional.cross_entropy(network(augmented(x_train[chosen])), y_train[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        losses[step] = loss.detach()
    seconds = time.perf_counter() - started
    result: dict[str, Any] = {
        **{"kind": kind, "bits": bits, "seed": seed, "steps": steps},
        "losses_by_tenth": [float(part.mean()) for part in losses.tensor_split(10) if len(part)],
        "test_acc": accuracy(network, x_test, y_test),
        "seconds_per_epoch": seconds / (steps / batches),
        "parameters_in_training": sum(parameter.numel() for parameter in network.parameters()),
    }
    if kind == "brevitas":
        result["version"] = importlib.metadata.version("brevitas")
    if kind not in ("pretrained", "float", "brevitas"):
        frozen = freeze(network).cpu()
        result["parameters_after"] = sum(parameter.numel() for parameter in frozen.parameters())
        folded = fold(frozen, (3, 32, 32))
        found = agreement(frozen, folded, x_test[:16].cpu())
        result |= {"folded_integers": found.integers, "folded_differing": found.differing + found.differing_outputs}
        result["folded_bytes"] = size(folded).total
    kept.parent.mkdir(parents=True, exist_ok=True)
    if first:
        save_file({n: v.contiguous() for n, v in network.state_dict().items()}, kept.with_suffix(".safetensors"))
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
    parser.add_argument("--blocks", type=int, default=3, help="of each of the three stages")
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
