"""Folded networks beside the quantised networks they come from: differing integers, ONNX, bytes.

Networks are drawn at random: plain chains and residual ones, dense, grouped and depthwise convolutions, strides,
activation functions, pools, 1 to 8 bits, every kind of quantiser. Each is trained for a few steps, so that no
threshold is where it started, folded, and compared with its own inference mode on random inputs: all codes, all
accumulators, all outputs. Some of them are also written as ONNX and run by onnxruntime. The size is that of networks
of timm, in memory and as files.

Run: python benchmarks/darts_lp_folding.py
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import timm
import torch
from _record import RESULTS, record
from nasplug_darts_lp.folding import agreement, deviation, export_onnx, export_qdq, fold, run_onnx, save, size
from nasplug_darts_lp.folding.modules import Comparison
from nasplug_darts_lp.layers.quantise import calibrate, quantise
from nasplug_darts_lp.quantisers import ACTIVATIONS, WEIGHTS
from safetensors.torch import save_file
from torch import nn

from nasplug.export.onnx import exported

SHAPE = (3, 16, 16)


class Residual(nn.Module):
    """Two convolutions and an addition."""

    def __init__(self, inputs, channels, stride, groups, kernel, act):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels), act()),
            *(nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=groups), nn.BatchNorm2d(channels)),
        )
        same = stride == 1 and inputs == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, channels, 1, stride, bias=False)
        self.act = act()

    def forward(self, images):
        """Images (N, C, H, W)."""
        return self.act(self.body(images) + self.shortcut(images))


def drawn(rng: np.random.Generator) -> tuple[nn.Module, bool]:
    """A network, and whether it has residual blocks."""
    act = [nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.SiLU][rng.integers(4)]
    residual = bool(rng.integers(2))
    channels = int(rng.choice([4, 8, 12]))
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), act()]
    if rng.integers(2):
        layers.append(nn.MaxPool2d(2))
    for _ in range(int(rng.integers(1, 4))):
        wider, stride, kernel = channels * int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.choice([1, 3, 5]))
        groups = int(rng.choice([1, 2, wider]))
        if residual:
            layers.append(Residual(channels, wider, stride, groups, kernel, act))
        else:
            depth = nn.Conv2d(channels, wider, kernel, stride, kernel // 2, groups=channels if groups == wider else 1)
            layers += [depth, nn.BatchNorm2d(wider), act()]
        channels = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)), residual


def settings(rng: np.random.Generator) -> dict[str, Any]:
    """How it is quantised."""
    return {
        "weight_bits": int(rng.integers(1, 9)),
        "activation_bits": int(rng.integers(1, 9)),
        "activations": str(rng.choice(list(ACTIVATIONS))),
        "weights": str(rng.choice(list(WEIGHTS))),
        "levels": str(rng.choice(["auto", "signed", "unsigned", "rectified"])),
    }


def train(network: nn.Module, steps: int) -> nn.Module:
    """A few steps on noise, with normalisation of both signs."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        network(torch.randn(8, *SHAPE)).square().mean().backward()
        optimiser.step()
    return network.eval()


def many(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Random networks."""
    total = dict.fromkeys(
        ("networks", "residual", "integers", "differing", "outputs", "differing_outputs", "comparisons_of_integers"), 0
    )
    total |= dict.fromkeys(("comparisons_of_values", "onnx_networks", "onnx_outputs", "onnx_differing_outputs"), 0)
    for seed in range(arguments.networks):
        rng = np.random.default_rng([arguments.seed, seed])
        torch.manual_seed(seed)
        base, residual = drawn(rng)
        network = train(quantise(base, **settings(rng)), arguments.steps)
        folded = fold(network, SHAPE)
        images = float(rng.choice([0.3, 1.0, 4.0])) * torch.randn(arguments.images, *SHAPE)
        found = agreement(network, folded, images)
        kinds = [module.integer for module in folded.modules() if isinstance(module, Comparison)]
        counts = {
            **{"networks": 1, "residual": int(residual), "integers": found.integers, "differing": found.differing},
            **{"outputs": found.outputs, "differing_outputs": found.differing_outputs},
            **{"comparisons_of_integers": sum(kinds), "comparisons_of_values": len(kinds) - sum(kinds)},
        }
        if seed < arguments.onnx:
            path = export_onnx(folded, folder / "folded.onnx", check=0)
            answer = run_onnx(path, images)[0]
            with torch.no_grad():
                counts |= {"onnx_differing_outputs": int((answer != network(images)).sum())}
            counts |= {"onnx_networks": 1, "onnx_outputs": answer.numel()}
        for name, value in counts.items():
            total[name] += value
        if found.differing or found.differing_outputs or counts.get("onnx_differing_outputs"):
            print(f"network {seed} differs: {counts}", flush=True)
        elif seed % 20 == 0:
            print(f"network {seed}: {counts}", flush=True)
    return total


def sizes(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Networks of timm at several widths, as files."""
    rows: dict[str, Any] = {}
    for name in arguments.model:
        torch.manual_seed(0)
        base = timm.create_model(name, num_classes=1000)
        whole = folder / "float.safetensors"
        save_file({key: value.contiguous() for key, value in base.state_dict().items()}, str(whole))
        rows[name] = {"float_file_bytes": whole.stat().st_size}
        for bits in arguments.bits:
            network = quantise(base, weight_bits=bits, activation_bits=bits)
            calibrate(network, [torch.randn(2, 3, 64, 64)])
            folded = fold(network.eval(), (3, 64, 64))
            found = size(folded)
            compared = agreement(network, folded, torch.randn(1, 3, 64, 64))
            rows[name][f"bits_{bits}"] = {
                "weight_bytes": found.weights,
                "threshold_bytes": found.thresholds,
                "other_bytes": found.others,
                "total_bytes": found.total,
                "file_bytes": save(folded, folder / "folded.safetensors"),
                "times_smaller": rows[name]["float_file_bytes"] / (folder / "folded.safetensors").stat().st_size,
                "integers": compared.integers,
                "differing": compared.differing,
                "differing_outputs": compared.differing_outputs,
            }
            print(name, bits, rows[name][f"bits_{bits}"], flush=True)
    return rows


def runtimes(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Bytes and time of ONNX files of 8 bits beside those in floating point, by turns.

    The time is that of the processor for the one thread that runs them, so that other work counts little.
    "folded" is the exact file, "qdq" that for integer kernels. Weights are those that timm draws, with normalisation
    drawn beside them, so that channels differ; images are noise.
    """
    rows: dict[str, Any] = {}
    for name in arguments.runtime:
        torch.manual_seed(0)
        base = timm.create_model(name, num_classes=1000, exportable=True).eval()
        for module in base.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
        images = torch.randn(1, 3, 64, 64)
        network = quantise(base, weight_bits=8, activation_bits=8)
        calibrate(network, [torch.randn(2, 3, 64, 64)])
        folded = fold(network.eval(), (3, 64, 64))
        paths = {
            "float": exported(base, torch.randn(2, 3, 64, 64), folder / "float.onnx"),
            "folded": export_onnx(folded, folder / "folded.onnx", check=0),
            "qdq": folder / "qdq.onnx",
        }
        export_qdq(folded, paths["qdq"], check=1)
        many = torch.randn(64, 3, 64, 64)
        apart = deviation(run_onnx(paths["qdq"], many)[0], folded(many))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        sessions = {key: onnxruntime.InferenceSession(str(path), options) for key, path in paths.items()}
        seconds: dict[str, list[float]] = {key: [] for key in paths}
        for _ in range(40):
            for key, session in sessions.items():
                started = time.thread_time()
                session.run(None, {"input": images.numpy()})
                seconds[key].append(time.thread_time() - started)
        medians = {key: float(np.median(times)) for key, times in seconds.items()}
        sizes = {key: path.stat().st_size for key, path in paths.items()}
        floats = sum(tensor.numel() * tensor.element_size() for tensor in base.state_dict().values())
        rows[name] = {
            "onnx_bytes": sizes,
            "onnx_bytes_ratio": sizes["folded"] / sizes["float"],
            "qdq_bytes_ratio": sizes["qdq"] / sizes["float"],
            "stored_bytes_ratio": size(folded).total / floats,
            "seconds": medians,
            "seconds_ratio": medians["folded"] / medians["float"],
            "qdq_seconds_ratio": medians["qdq"] / medians["float"],
            "qdq_deviation": asdict(apart),
        }
        print(name, rows[name], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--onnx", type=int, default=20, help="number of networks that onnxruntime runs as well")
    parser.add_argument("--model", nargs="*", default=["resnet18", "mobilenetv2_100"])
    parser.add_argument("--bits", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--runtime", nargs="*", default=["resnet18", "mobilenetv2_100", "mobilenetv3_small_050"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--part", choices=list(PARTS), nargs="*", default=list(PARTS), help="parts to make anew; others stay"
    )
    parser.add_argument("--out", type=Path, default=None, help="folder of the JSON; default: results beside the script")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    folder = RESULTS if arguments.out is None else arguments.out
    path = folder / "darts_lp_folding.json"
    earlier = json.loads(path.read_text()) if path.is_file() else {}
    packages = ("nasplug-darts-lp", "timm", "onnxruntime")
    kept = {name: earlier[name] for name in PARTS if name in earlier}
    dates = {name: earlier.get("made", {}).get(name, earlier.get("date")) for name in kept}
    with tempfile.TemporaryDirectory() as name:
        for part in arguments.part:
            found = PARTS[part](arguments, Path(name))
            kept[part] = merged(kept.get(part, {}), found)
            dates[part] = datetime.now(UTC).date().isoformat()
    result = {
        "settings": {
            key: value
            for key, value in vars(arguments).items()
            if key not in ("out", "seed", "part", "bits", "model", "runtime")
        },
        "seeds": [arguments.seed],
        "made": dates,
        **{part: kept[part] for part in PARTS if part in kept},
        "seconds": time.perf_counter() - started,
    }
    record("darts_lp_folding", result, packages=packages, folder=folder)


def merged(earlier: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The rows of an earlier record with those made anew in their place."""
    rows = {**earlier}
    for key, value in found.items():
        rows[key] = merged(earlier.get(key, {}), value) if isinstance(value, dict) else value
    return rows


PARTS = {"random_networks": many, "sizes": sizes, "runtime": runtimes}


if __name__ == "__main__":
    main()
