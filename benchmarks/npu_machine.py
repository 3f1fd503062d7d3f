"""The machine of nasplug-npu: its hardware beside integers, and the clocks of the analytic model beside the hardware's.

Random layers of several kinds and four networks that are trained on digits, quantised and folded, one of them
residual, run on three units: dense with 8 bits, with narrow operands, and with zeros skipped. Every stored number is
compared. The functional model must have the clocks of the hardware and leave the same words in the memory of maps.
Needs the extra `rtl` (Amaranth), Yosys and Verilator.

Run: nice python benchmarks/npu_machine.py
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
import torch
from _record import record
from nasplug_darts_lp.folding import fold
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.checking import read_map
from nasplug_npu.machine.comparison import predict
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.functional import Functional
from nasplug_npu.machine.parameters import parameters
from nasplug_npu.machine.planning import plan
from nasplug_npu.machine.running import run
from nasplug_npu.machine.samples import KINDS, draw
from nasplug_npu.machine.simulators import simulator
from nasplug_npu.machine.units import unit
from torch import nn

SEED = 0
SKIPPED = ("conv", "strided", "dilated", "pointwise")
#: Bits of the networks.
WIDTHS = (4, 4, 2, 4)


def layers(
    config: NPUConfig, kinds: tuple[str, ...], count: int, *, even: bool, kept: float, seconds: float, seed: int = SEED
) -> list[dict[str, Any]]:
    """Random layers on one unit, as many as there is time for: clocks of hardware and models, numbers that differ."""
    build = parameters(config)
    hardware, model, rows = simulator(build, "verilator"), Functional(build), []
    started = time.perf_counter()
    while len(rows) < count and time.perf_counter() - started < seconds:
        rng, kind = np.random.default_rng((seed, len(rows) + 1, int(even))), kinds[len(rows) % len(kinds)]
        bits = [int(rng.choice([2, 4, 8])) if build.narrow else 8 for _ in range(2)]
        sample = draw(
            kind, rng, input_bits=bits[0], weight_bits=bits[1], kept=kept, scale=2 if even else 1, most=14, even=even
        )
        compiler = Compiler(build)
        source = compiler.input(*sample.inputs.shape, sample.bits, signed=sample.signed)
        best = plan(build, sample.layer, source)
        compiler.layer(sample.layer, source, bands=best.bands, groups=best.groups)
        packed = source.pack(sample.inputs)
        begun = time.perf_counter()
        outcome = hardware.run(compiler.program, packed)
        spent = time.perf_counter()
        functional = model.run(compiler.program, packed)
        seconds_of = {"hardware": spent - begun, "functional": time.perf_counter() - spent}
        words = compiler.program.map_words
        wrong = int((read_map(compiler.program, outcome, kind) != sample.layer(sample.inputs)).sum())
        clocks = outcome.events["store"][-1]
        predicted = predict(config, sample.layer, sample.inputs.shape, sample.bits).clocks
        print(len(rows), kind, clocks, wrong, file=sys.stderr, flush=True)
        rows.append(
            {
                "kind": kind,
                "input": list(sample.inputs.shape),
                "weights": None if sample.layer.weights is None else list(sample.layer.weights.shape),
                "bits": bits,
                "clocks": clocks,
                "model": predicted,
                "deviation": predicted / clocks - 1,
                "functional_equal": outcome.events == functional.events,
                "words_differing": int((outcome.maps[:words] != functional.maps[:words]).sum()),
                "words": words,
                "seconds": seconds_of,
                "differing": wrong,
                "numbers": int(sample.layer(sample.inputs).size),
            }
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and worst cases, by kind and in all."""

    def of(some: list[dict[str, Any]]) -> dict[str, float]:
        sizes = np.abs([row["deviation"] for row in some])
        return {
            "layers": len(some),
            "median": float(np.median(sizes)),
            "worst": float(sizes.max()),
            "within_10_percent": int((sizes <= 0.1).sum()),
        }

    kinds = {kind: of([row for row in rows if row["kind"] == kind]) for kind in dict.fromkeys(r["kind"] for r in rows)}
    exact = {"differing": sum(row["differing"] for row in rows), "numbers": sum(row["numbers"] for row in rows)}
    exact |= {"functional_equal": sum(row["functional_equal"] for row in rows)}
    exact |= {name: sum(row[name] for row in rows) for name in ("words", "words_differing")}
    exact["seconds"] = {name: sum(row["seconds"][name] for row in rows) for name in ("hardware", "functional")}
    return {**of(rows), **exact, "clocks": sum(row["clocks"] for row in rows), "kinds": kinds}


class Residual(nn.Module):
    """Two convolutions beside a shortcut.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.act = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.ReLU()
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        alike = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if alike else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W)."""
        found = self.norms[1](self.second(self.act(self.norms[0](self.first(inputs)))))
        return self.act(found + self.shortcut(inputs))


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution with a normalisation and an activation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def networks() -> dict[str, nn.Module]:
    """Networks for digits of 8 x 8 pixels: three chains of layers, and a residual network of eight layers."""
    plain = [*block(1, 16), *block(16, 32), nn.MaxPool2d(2), *block(32, 32), nn.Flatten(), nn.Linear(512, 10)]
    separable = [*block(1, 16), *block(16, 16, groups=16), *block(16, 32, 1), *block(32, 32, stride=2, groups=32)]
    separable += [*block(32, 48, 1), nn.Flatten(), nn.Linear(48 * 16, 10)]
    grouped = [*block(1, 32), *block(32, 32, groups=4), *block(32, 64, 1, 2), *block(64, 64, groups=4), nn.MaxPool2d(2)]
    grouped += [nn.Flatten(), nn.Linear(256, 10)]
    blocks = [Residual(16, 16), Residual(16, 32, 2), Residual(32, 64, 2)]
    residual = [*block(1, 16), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    every = {"plain": plain, "separable": separable, "grouped": grouped, "residual": residual}
    return {name: nn.Sequential(*layers) for name, layers in every.items()}


def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training and test images with their classes."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    y = torch.tensor(labels)
    first, second = train_test_split(np.arange(len(x)), test_size=0.25, random_state=SEED)
    return x[first], y[first], x[second], y[second]


def trained(network: nn.Module, bits: int, sums: str, epochs: int = 4) -> tuple[nn.Module, float]:
    """A quantised network after a short training, and its accuracy on test images."""
    images, labels, test, wanted = digits()
    torch.manual_seed(SEED)
    network = quantise(network, weight_bits=bits, activation_bits=bits, activations="fixed", sums=sums)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        right = (network.eval()(test).argmax(1) == wanted).float().mean()
    return network, float(right)


def whole(config: NPUConfig, made_of: dict[str, nn.Module], widths: tuple[int, ...], count: int) -> dict[str, Any]:
    """Networks on one unit; those with residual blocks have sums of whole numbers."""
    test, found = digits()[2][:count], {}
    hardware = simulator(parameters(config), "verilator")
    for (name, network), bits in zip(made_of.items(), widths, strict=True):
        torch.manual_seed(SEED)
        made, accuracy = trained(network, bits, "integer" if name.startswith("residual") else "float")
        folded = fold(made, (1, 8, 8))
        result = run(folded, config, test, hardware)
        early = run(folded, config, test[:1], None, prefetch=True)
        found[name] = {"bits": bits, "accuracy": accuracy, **result.to_json(), "clocks_with_prefetch": early.clocks}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=208, help="layers of all units")
    parser.add_argument("--units", nargs="+", default=["dense", "narrow", "sparse"], help="units to build")
    parser.add_argument("--odd", type=int, default=32, help="layers with any channels")
    parser.add_argument("--seconds", type=float, default=3600, help="most seconds for the layers of a unit")
    parser.add_argument("--images", type=int, default=4, help="images of each network")
    arguments = parser.parse_args()
    started = time.perf_counter()
    dense = unit("dense")
    nets = whole(dense, networks(), WIDTHS, arguments.images)
    print("networks", time.perf_counter() - started, file=sys.stderr, flush=True)
    shares, rows = {"dense": 8, "narrow": 3, "sparse": 2}, {}
    whole_share = sum(shares[name] for name in arguments.units)
    odd = layers(dense, KINDS, arguments.odd, even=False, kept=1.0, seconds=arguments.seconds)
    for name in arguments.units:
        count = arguments.layers * shares[name] // whole_share
        sparse = name == "sparse"
        kinds, kept = (SKIPPED, 0.5) if sparse else (KINDS, 1.0)
        rows[name] = layers(unit(name), kinds, count, even=True, kept=kept, seconds=arguments.seconds)
    every = [row for some in rows.values() for row in some]
    result = {
        "seeds": [SEED],
        "units": {name: unit(name).to_json() for name in arguments.units},
        "all": summary(every),
        **{name: summary(some) for name, some in rows.items()},
        "odd_channels": summary(odd),
        "networks": nets,
        "rows": {**rows, "odd_channels": odd},
        "seconds": time.perf_counter() - started,
    }
    print(record("npu_machine", result, packages=("amaranth",)))


if __name__ == "__main__":
    main()
