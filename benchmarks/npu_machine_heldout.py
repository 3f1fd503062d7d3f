"""The clock model of the machine on layers that nothing was mended on: other seeds, other widths, other networks.

The layers of `npu_machine.py` are those on which the first tile of the model was mended. Here are new draws of the same
kinds, with channels in multiples of 8 and with any channels, and three networks for digits with other depths, kernels,
strides and widths, one of them residual. The hardware runs in Verilator, beside the functional model.
Needs the extra `rtl` (Amaranth), Yosys and Verilator.

Run: nice python benchmarks/npu_machine_heldout.py
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from _record import record
from nasplug_npu.machine.samples import KINDS
from nasplug_npu.machine.units import unit
from npu_machine import Residual, block, layers, summary, whole
from torch import nn

SEED = 2611


def networks() -> dict[str, nn.Module]:
    """Networks for digits of 8 x 8 pixels that `npu_machine.py` does not have."""
    inverted = [*block(1, 24), *block(24, 72, 1), *block(72, 72, 5, 2, groups=72), *block(72, 40, 1)]
    inverted += [*block(40, 120, 1), *block(120, 120, 3, groups=120), *block(120, 56, 1), nn.Flatten()]
    inverted += [nn.Linear(56 * 16, 10)]
    odd = [*block(1, 12), *block(12, 20, 5), nn.MaxPool2d(2), *block(20, 28, 3, 2), nn.Flatten(), nn.Linear(112, 10)]
    blocks = [Residual(24, 24), Residual(24, 24), Residual(24, 48, 2), Residual(48, 48)]
    residual = [*block(1, 24), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)]
    every = {"inverted": inverted, "odd widths": odd, "residual, ten layers": residual}
    return {name: nn.Sequential(*some) for name, some in every.items()}


def of_networks(found: dict[str, Any]) -> dict[str, float]:
    """Errors over the layers of all networks."""
    off = np.abs([layer["deviation"] for one in found.values() for layer in one["layers"]])
    return {
        "layers": len(off),
        "median": float(np.median(off)),
        "worst": float(off.max()),
        "within_10_percent": int((off <= 0.1).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=64, help="layers with channels in multiples of 8")
    parser.add_argument("--odd", type=int, default=32, help="layers with any channels")
    parser.add_argument("--images", type=int, default=1, help="images of each network")
    parser.add_argument("--seconds", type=float, default=1800, help="most seconds for the layers of a row")
    arguments = parser.parse_args()
    started, dense = time.perf_counter(), unit("dense")
    even, odd = (
        layers(dense, KINDS, count, even=even, kept=1.0, seconds=arguments.seconds, seed=SEED)
        for count, even in ((arguments.layers, True), (arguments.odd, False))
    )
    nets = whole(dense, networks(), (4, 4, 4), arguments.images)
    result = {
        "seeds": [SEED],
        "unit": dense.to_json(),
        "even": summary(even),
        "odd_channels": summary(odd),
        "of_networks": of_networks(nets),
        "networks": nets,
        "rows": {"even": even, "odd_channels": odd},
        "seconds": time.perf_counter() - started,
    }
    print(record("npu_machine_heldout", result, packages=("amaranth",)))


if __name__ == "__main__":
    main()
