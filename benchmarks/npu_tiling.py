"""What the closed form of tiling loses to trying all cuts, on random layers and units, and what either takes.

Run: python benchmarks/npu_tiling.py [--layers N]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from _record import record
from nasplug_npu import NPU, preset

from nasplug.contract.errors import NasplugError
from nasplug.workloads.builder import INPUT, WorkloadBuilder

SEED = 0


def drawn(rng: np.random.Generator) -> tuple[Any, Any]:
    """A layer of a size that networks have, and a unit with buffers of 1 to 64 KiB."""
    channels, filters = (int(rng.choice((8, 16, 24, 32, 48, 64, 96, 128, 256))) for _ in range(2))
    size, kernel = int(rng.choice((7, 14, 28, 56))), int(rng.choice((1, 3, 5)))
    groups = channels if rng.random() < 0.2 else 1
    network = WorkloadBuilder((channels, size, size))
    network.conv(INPUT, channels if groups > 1 else filters, kernel, int(rng.integers(1, 3)), groups=groups)
    names = ("weight_kb", "input_kb", "output_kb")
    sizes = {name: float(rng.choice((1, 2, 4, 8, 16, 32, 64))) for name in names}
    widths = {"act_bytes_per_cycle": float(rng.choice((2, 4, 8))), "weight_bytes_per_cycle": float(rng.choice((1, 4)))}
    return network.build(), preset("wu32_dense").replace(**sizes, **widths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=200, help="number of random layers")
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    loss: dict[str, list[float]] = {"latency": [], "traffic": []}
    seconds = {"closed": 0.0, "search": 0.0}
    worst: dict[str, Any] = {}
    while len(loss["latency"]) < arguments.layers:
        workload, config = drawn(rng)
        try:
            for objective, key in (("latency", "cycles"), ("traffic", "traffic_bytes")):
                found = {}
                for how in ("closed", "search"):
                    started = time.process_time()
                    found[how] = NPU(config.replace(objective=objective, tiling=how)).totals(workload)[key]
                    seconds[how] += time.process_time() - started
                loss[objective].append(found["closed"] / found["search"] - 1)
                if loss[objective][-1] == max(loss[objective]):
                    worst[objective] = {"layer": workload.table()[0], "weight_kb": config.weight_kb}
                    worst[objective] |= {"input_kb": config.input_kb, "output_kb": config.output_kb}
        except NasplugError:  # it fits no buffer
            continue
    result = {
        objective: {
            "layers": len(values),
            "equal": sum(value < 1e-9 for value in values),
            "median": float(np.median(values)),
            "mean": float(np.mean(values)),
            "above_3_percent": sum(value > 0.03 for value in values),
            "largest": max(values),
            "where": worst[objective],
        }
        for objective, values in loss.items()
    }
    print(result, seconds)
    print(record("npu_tiling", {"seeds": [SEED], **result, "cpu_seconds": seconds}))


if __name__ == "__main__":
    main()
