"""How many networks and hardware points the NPU model evaluates per second on one core.

Workloads are given; a network has about 30 layers. Rates are by CPU time of this process, so that other programs on the
machine count less, and by wall time; the best of several rounds. Both are low on a machine that is busy.

Run: OMP_NUM_THREADS=1 python benchmarks/npu_throughput.py [--networks 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _record import record
from nasplug_npu import NPU, Batch, preset, sweep
from nasplug_npu.area_model import area
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.networks import resnet_cifar
from nasplug_npu.sweeping import grid

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload


def random_network(rng: np.random.Generator, widths: tuple[int, ...], layers: int = 30) -> Workload:
    """A chain of convolutions, as search spaces have them: kernel, width and kind are chosen layer by layer."""
    network = WorkloadBuilder((3, 32, 32))
    row = network.conv(INPUT, widths[0], 3, post="relu")
    channels = widths[0]
    for layer in range(1, layers - 1):
        stride = 2 if layer in (layers // 3, 2 * layers // 3) else 1
        kernel = int(rng.choice((1, 3, 5)))
        if rng.random() < 0.3:
            row = network.conv(row, channels, kernel, stride, groups=channels, post="relu")
        else:
            channels = int(rng.choice(widths))
            row = network.conv(row, channels, kernel, stride, post="relu")
    network.fc(row, 10)
    return network.build()


def rate(function: Callable[[], Any], count: int, rounds: int) -> dict[str, float]:
    """Things per second, by CPU and wall time."""
    best_cpu = best_wall = 0.0
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        function()
        best_cpu = max(best_cpu, count / max(time.process_time() - cpu, 1e-9))
        best_wall = max(best_wall, count / (time.perf_counter() - wall))
    return {"per_cpu_second": best_cpu, "per_second": best_wall}


def random_points(count: int, rng: np.random.Generator) -> Points:
    """Points off any grid: numbers drawn one by one."""
    fields = preset("wu32").to_json()
    fields |= {name: 2.0 ** rng.integers(low, high, count) for name, (low, high) in _RANGES.items()}
    fields |= {"freq_hz": rng.uniform(50e6, 1e9, count), "act_bytes_per_cycle": rng.uniform(1, 16, count)}
    return Points(fields)


_RANGES = {"macs": (3, 9), "weight_kb": (2, 8), "input_kb": (2, 8), "output_kb": (2, 8)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    # A space of few widths shares most layers; one of any width shares nearly none.
    few = [random_network(rng, (16, 32, 64)) for _ in range(arguments.networks)]
    many = [random_network(rng, tuple(range(8, 129))) for _ in range(arguments.networks // 10)]
    unit, result = NPU("wu32"), {}
    batch, diverse = Batch.of(few), Batch.of(many)

    def one_at_a_time() -> None:
        for workload in few:
            unit.totals(workload)

    points = Points.of(preset("wu32"))

    def one_at_a_time_without_memory() -> None:
        for workload in few[:100]:
            layers(Rows(pack(workload)), points)

    result["one_at_a_time"] = rate(one_at_a_time, len(few), arguments.rounds)
    result["one_at_a_time_every_layer_anew"] = rate(one_at_a_time_without_memory, 100, arguments.rounds)
    result["batch"] = rate(lambda: unit.many(batch), len(few), arguments.rounds)
    result["batch_of_nearly_all_different_layers"] = rate(lambda: unit.many(diverse), len(many), arguments.rounds)
    result["making_a_batch"] = rate(lambda: Batch.of(few), len(few), arguments.rounds)
    axes = {name: 2.0 ** np.arange(*bounds) for name, bounds in _RANGES.items()}
    axes |= {"act_bytes_per_cycle": [2, 4, 8, 16], "freq_hz": [1e8, 2e8, 4e8, 8e8]}
    network = Batch.of([resnet_cifar()])
    (regular,), irregular = grid(preset("wu32"), axes), random_points(4000, rng)
    result["points_of_a_grid"] = rate(lambda: sweep(network, regular), len(regular), arguments.rounds)
    result["points_drawn_at_random"] = rate(lambda: sweep(network, irregular), len(irregular), arguments.rounds)
    result["areas"] = rate(lambda: area(regular), len(regular), arguments.rounds)
    sizes = {
        "networks": len(few),
        "layers_per_network": float(np.mean([len(workload) for workload in few])),
        "different_layers": len(batch.rows),
        "networks_of_nearly_all_different_layers": len(many),
        "different_layers_there": len(diverse.rows),
        "layers_of_the_swept_network": len(network.index),
        "different_layers_of_it": len(network.rows),
        "points_of_the_grid": len(regular),
    }
    print(record("npu_throughput", {"seeds": [arguments.seed], "sizes": sizes, "rates": result}))


if __name__ == "__main__":
    main()
