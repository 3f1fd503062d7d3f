"""What the NPU model says where something else is known: published clocks, tables, and other models.

Without arguments everything that needs no data. With the table of HW-NAS-Bench (NAS-Bench-201, CIFAR-10; not part of
the project) also its Eyeriss and FPGA columns.

Run: python benchmarks/npu_anchors.py [--hwnasbench hw.parquet] [--picture roofline.png]
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from _record import record
from nasplug_npu import NPU, Batch, preset, sweep
from nasplug_npu.area_model import area, array_fit
from nasplug_npu.exploration import explore
from nasplug_npu.networks import NETWORKS, mobilenet_v1
from nasplug_npu.roofline import draw_roofline, peak_gops, roofline
from nasplug_npu.sweeping import grid

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload


def timm_mobilenet() -> Workload | None:
    """The same network read off timm's module; None where timm is not installed."""
    try:
        import timm
    except ModuleNotFoundError:
        return None
    from nasplug.workloads.extract import extract

    return extract(timm.create_model("mobilenetv1_100"), (3, 224, 224))


def mobilenet() -> dict[str, Any]:
    """The network on wu32 and on a Cortex-M7 under several baselines."""
    workload = mobilenet_v1()
    dense, unit = NPU("wu32_dense").totals(workload), preset("wu32_dense")
    read = timm_mobilenet()
    found: dict[str, Any] = {
        "macs": dense["macs"],
        "compute_cycles": dense["compute_cycles"],
        "compute_cycles_read_off_timm": None if read is None else NPU("wu32_dense").totals(read)["compute_cycles"],
        "cycles": dense["cycles"],
        "latency_ms": dense["latency_s"] * 1e3,
        "utilisation": dense["utilisation"],
        "peak_sram_bytes": dense["peak_sram_bytes"],
        "dense_roof_gops": peak_gops(unit),
    }
    baselines = {
        "assumed_2_cycles_per_mac_400mhz": preset("cortex_m7"),
        "xcubeai_8.1_rates_400mhz": preset("cortex_m7_xcubeai").replace(freq_hz=400e6),
        "bosch_rates_400mhz": preset("cortex_m7_bosch").replace(freq_hz=400e6),
    }
    found["cortex_m7_latency_ms"] = {n: NPU(c).totals(workload)["latency_s"] * 1e3 for n, c in baselines.items()}
    found["speedup_over_cortex_m7"] = {
        name: value / found["latency_ms"] for name, value in found["cortex_m7_latency_ms"].items()
    }
    half = NPU("wu32").totals(workload.replace(weight_density=0.5))["latency_s"] * 1e3
    found["speedup_with_half_of_the_weights_zero"] = {n: v / half for n, v in found["cortex_m7_latency_ms"].items()}
    found["cycles_per_mac_for_32_times"] = 32 * found["latency_ms"] * 1e-3 * 400e6 / dense["macs"]
    found["speedup_of_compute_alone"] = {
        name: value / (dense["compute_cycles"] / unit.freq_hz * 1e3)
        for name, value in found["cortex_m7_latency_ms"].items()
    }
    return found


def sparsity_and_precision() -> dict[str, dict[str, float]]:
    """Half of the weights zero, narrow weights, and both; tiles by clocks and energy, as both are compared."""
    rows, unit = {}, NPU("wu32,objective=edp")
    base = unit.totals(mobilenet_v1())
    for bits, density in itertools.product((8, 4, 2), (1.0, 0.5)):
        found = unit.totals(mobilenet_v1().replace(weight_bits=bits, weight_density=density))
        keys = ("compute_cycles", "latency_s", "energy_j", "flash_bytes", "gops_dense", "gops_effective")
        row = {key: found[key] for key in keys} | {"speedup": base["latency_s"] / found["latency_s"]}
        row |= {"energy_share": found["energy_j"] / base["energy_j"]}
        rows[f"weights_{bits}_bit{'_half_zero' if density < 1 else ''}"] = row
    return rows


def skipping_by_shape() -> dict[str, dict[str, float]]:
    """What half of the weights being zero gains on arrays of one shape, and on those that take the best of all."""
    found: dict[str, dict[str, float]] = {}
    shapes = {
        "pow2": "pow2",
        "fixed_8x4x1": "fixed:8x4x1",
        "fixed_1x8x4": "fixed:1x8x4",
        "fixed_1x1x32": "fixed:1x1x32",
    }
    for name in ("mobilenet_v1_1.0_224", "resnet8"):
        workload = NETWORKS[name]()
        found[name] = {}
        for label, shape in shapes.items():
            unit = NPU(preset("wu32").replace(shapes=shape))
            dense, half = unit.totals(workload), unit.totals(workload.replace(weight_density=0.5))
            found[name][label] = dense["compute_cycles"] / half["compute_cycles"]
            found[name][f"{label}_latency"] = dense["latency_s"] / half["latency_s"]
    cortex = NPU("cortex_m7").totals(mobilenet_v1())["latency_s"]
    fixed = NPU(preset("wu32").replace(shapes="fixed:8x4x1")).totals(mobilenet_v1().replace(weight_density=0.5))
    found["mobilenet_v1_1.0_224"]["fixed_8x4x1_over_cortex_m7"] = cortex / fixed["latency_s"]
    return found


def reshaping() -> dict[str, dict[str, float]]:
    """Clocks of the array alone: fixed shapes, and all shapes."""
    found: dict[str, dict[str, float]] = {}
    for name, build in NETWORKS.items():
        workload = build()
        units = {"fixed_8x4": ("fixed:8x4x1", 32), "pow2_32": ("pow2", 32)}
        units |= {"fixed_16x16": ("fixed:16x16x1", 256), "pow2_256": ("pow2", 256)}
        found[name] = {}
        for label, (shapes, macs) in units.items():
            ports = {"weight_port_bits": 8 * macs, "input_port_bits": 8 * macs}
            config = preset("wu32_dense").replace(macs=macs, shapes=shapes, **ports)
            totals = NPU(config).totals(workload)
            found[name] |= {label: totals["compute_cycles"], f"{label}_utilisation": totals["array_utilisation"]}
    return found


def every_fixed_shape() -> dict[str, int]:
    """How many layers some fixed shape of 32 or 256 multipliers does in fewer clocks than reshaping: none should."""
    found = {"comparisons": 0, "fixed_shape_faster": 0, "equal": 0}
    for macs, build in itertools.product((32, 256), NETWORKS.values()):
        workload, most = build(), int(np.log2(macs))
        base = preset("wu32_dense").replace(macs=macs, weight_port_bits=8 * macs * 8, input_port_bits=8 * macs * 8)
        best = NPU(base).evaluate(workload).layers["compute_cycles"]
        for i, j in itertools.product(range(most + 1), repeat=2):
            if i + j > most:
                continue
            shape = base.replace(shapes=f"fixed:{2**i}x{2**j}x{2 ** (most - i - j)}")
            fixed = NPU(shape).evaluate(workload).layers["compute_cycles"]
            found["comparisons"] += int((best > 0).sum())
            found["fixed_shape_faster"] += int((fixed < best).sum())
            found["equal"] += int(((fixed == best) & (best > 0)).sum())
    return found


def larger_buffers(count: int, seed: int) -> dict[str, Any]:
    """How often a layer drawn at random moves more bits when one buffer doubles, tiles being chosen by traffic."""
    rng, sizes = np.random.default_rng(seed), 2.0 ** np.arange(1, 9)
    base, ratios = preset("wu32_dense").replace(objective="traffic"), []
    for _ in range(count):
        channels, filters = (4 * int(rng.integers(1, 21)) for _ in range(2))
        size, kernel, stride = int(rng.integers(1, 57)), int(rng.choice((1, 3, 5, 7))), int(rng.integers(1, 3))
        groups = int(rng.choice((1, 1, 4, channels)))
        network = WorkloadBuilder((channels, size, size))
        network.conv(INPUT, channels if groups == channels else filters, kernel, stride, groups=groups)
        batch = Batch.of([network.build()])
        others = {name: float(rng.choice(sizes)) for name in ("weight_kb", "input_kb", "output_kb")}
        for name in others:
            (points,) = grid(base.replace(**others), {name: sizes})
            found = sweep(batch, points)
            traffic = found["traffic_bytes"][np.isfinite(found["latency_s"])]
            ratios += (traffic[1:] / traffic[:-1]).tolist()
    worse = [ratio for ratio in ratios if ratio > 1 + 1e-9]
    return {"layers": count, "seed": seed, "doublings": len(ratios), "more": len(worse), "largest": max(ratios)}


def closed_form(flow: str, r: int, c: int, summed: int, filters: int, positions: int) -> int:
    """Clocks of one product on R x C, as SCALE-Sim v3 counts them."""
    rows, columns, streamed = {
        "ws": (summed, filters, positions),
        "is": (summed, positions, filters),
        "os": (positions, filters, summed),
    }[flow]
    fill = (r if flow == "os" else 2 * r) + c + streamed - 2
    return int(fill * -(-rows // r) * -(-columns // c) - 1)


def systolic() -> dict[str, dict[str, int]]:
    """Layers on which presets take the closed form: all networks, arrays and dataflows, dense and with N:M weights."""
    found: dict[str, dict[str, int]] = {}
    cases = [(flow, None) for flow in ("ws", "os", "is")] + [("ws", (2, 4)), ("ws", (1, 4))]
    for flow, structure in cases:
        label = flow if structure is None else f"{flow}_{structure[0]}_of_{structure[1]}"
        found[label] = {"layers": 0, "equal": 0}
        for size, build in itertools.product(("8x4", "8x8", "16x16", "32x32"), NETWORKS.values()):
            config, workload = preset(f"systolic_{size}_{flow}"), build()
            kept = (1, 1) if structure is None else structure
            if structure is not None:
                config = config.replace(encoding=f"nm{kept[0]}:{kept[1]}", sparsity="weight_skip")
                workload = workload.replace(weight_density=kept[0] / kept[1])
            clocks = NPU(config).evaluate(workload).layers["compute_cycles"]
            r, c = (int(part) for part in size.split("x"))
            for row in np.flatnonzero(workload.macs):
                units = int(workload.groups[row])
                summed = int(workload.kh[row] * workload.kw[row] * workload.ci[row]) // units
                positions, filters = int(workload.ho[row] * workload.wo[row]), int(workload.co[row]) // units
                once = closed_form(flow, r, c, -(-summed * kept[0] // kept[1]), filters, positions)
                found[label]["layers"] += 1
                found[label]["equal"] += int(clocks[row] == units * once)
    return found


def rooflines() -> dict[str, dict[str, float]]:
    """How near to the roof of wu32 the layers of MobileNet-V1 come, dense and with half of the weights zero."""
    found = {}
    for label, density in (("dense", 1.0), ("half_zero", 0.5)):
        config = preset("wu32")
        spots = roofline(NPU(config).evaluate(mobilenet_v1().replace(weight_density=density)), config)
        found[label] = {
            "layers": len(spots),
            "above_the_dense_roof": sum(spot.achieved > spot.attainable for spot in spots),
            "effective_above_the_roof": sum(spot.effective > spot.attainable * (1 + 1e-9) for spot in spots),
            "median_share_of_the_roof": float(np.median([spot.fraction for spot in spots])),
            "best_share_of_the_roof": max(spot.fraction for spot in spots),
            "worst_share_of_the_roof": min(spot.fraction for spot in spots),
        }
    return found


def exploration() -> dict[str, Any]:
    """The front of 5,000 units by exploring in layers, and by asking for every unit on its own."""
    axes: dict[str, Any] = {
        "macs": [16, 32, 64, 128, 256],
        "weight_kb": [4, 8, 16, 32, 64],
        "input_kb": [8, 16, 32, 64, 128],
        "output_kb": [4, 8, 16, 32, 64],
        "act_bytes_per_cycle": [4, 8],
        "sparsity": ["none", "weight_skip"],
        "weight_bytes_per_cycle": [2, 8],
    }
    workload, base, budget = NETWORKS["resnet8"]().replace(weight_density=0.6), preset("wu32"), 0.6
    started = time.perf_counter()
    found = explore(workload, base, axes, max_area=budget)
    seconds, started = time.perf_counter() - started, time.perf_counter()
    values = []
    for points in grid(base, axes):
        for place in np.flatnonzero(points.valid()).tolist():
            config = points.config(place)
            size = area(config).total_mm2
            if size <= budget:
                totals = NPU(config).totals(workload)
                values.append((size, totals["latency_s"], totals["energy_j"]))
    every = np.array(values)
    front = every[moocore.is_nondominated(every, keep_weakly=True)]
    front = front[np.lexsort(front.T[::-1])]
    same = front.shape == found.values.shape and bool(np.allclose(front, found.values, rtol=1e-12, atol=0))
    return {
        "network": "resnet8, weight density 0.6",
        "max_area_mm2": budget,
        "counts": dict(found.counts),
        "front": len(found.configs),
        "front_of_brute_force": len(front),
        "equal_to_brute_force": same,
        "seconds": seconds,
        "seconds_of_brute_force": time.perf_counter() - started,
    }


def hwnasbench(path: Path, count: int, seed: int) -> dict[str, Any]:
    """Coefficient of determination of the presets on cells whose operations all reach something."""
    import pyarrow.parquet
    from nasplug_tables.nasbench201 import cells
    from nasplug_tables.spaces.nasbench201 import NASBench201

    from nasplug.testing import Shapes

    table = pyarrow.parquet.read_table(path).to_pydict()
    row_of = {int(index): row for row, index in enumerate(table["index"])}
    space, task, names = NASBench201(), Shapes(), cells()
    rows, workloads = [], []
    for number in np.random.default_rng(seed).permutation(len(names)).tolist():
        digits = [int(digit) for digit in names[number]]
        workload = space.workload(space.from_vector(tuple(digits)), task)
        # The table charges every edge; a network has no layer where an edge carries nothing.
        products, pools = 5 * 3 * sum(d in (2, 3) for d in digits), 5 * 3 * digits.count(4)
        if workload.mask("conv").sum() == products + 7 and workload.mask("avgpool").sum() == pools + 3:
            rows.append(row_of[number])
            workloads.append(workload)
        if len(rows) == count:
            break
    found: dict[str, Any] = {"cells": len(rows), "seed": seed}
    for device in ("eyeriss", "fpga"):
        costs = NPU(f"{device}_hwnb").many(workloads)
        for quantity, key in (("latency", "latency_s"), ("energy", "energy_j")):
            truth = np.array([table[f"{device}_{quantity}"][row] for row in rows]) * 1e-3
            error = costs[key] - truth
            found[f"{device}_{quantity}"] = {
                "r2": float(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()),
                "largest_relative_error": float(np.abs(error / truth).max()),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hwnasbench", type=Path)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    fit = array_fit()
    result: dict[str, Any] = {
        "seeds": [0],
        "mobilenet_v1_1.0_224": mobilenet(),
        "sparsity_and_precision": sparsity_and_precision(),
        "skipping_by_shape": skipping_by_shape(),
        "roofline": rooflines(),
        "reshaping": reshaping(),
        "every_fixed_shape": every_fixed_shape(),
        "systolic": systolic(),
        "area": {
            "samples": len(fit.error),
            "cross_validated_mape": fit.mape,
            "largest_error": float(np.abs(fit.error).max()),
            "coefficients_ge": fit.coefficients.tolist(),
        },
        "exploration": exploration(),
        "larger_buffers": larger_buffers(1500, seed=0),
    }
    if arguments.hwnasbench:
        result["hwnasbench"] = hwnasbench(arguments.hwnasbench, arguments.cells, seed=0)
    if arguments.picture:
        config = preset("wu32")
        table = NPU(config).evaluate(mobilenet_v1().replace(weight_density=0.5))
        draw_roofline(
            roofline(table, config), config, arguments.picture, "MobileNet-V1, half of the weights zero, wu32"
        )
    print(record("npu_anchors", {"seeds": [], **result}))


if __name__ == "__main__":
    main()
