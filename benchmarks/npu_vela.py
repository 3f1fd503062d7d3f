"""The Ethos model beside the compiler that it restates, on networks that it was made with and on others.

`nasplug_npu.model.ethos_blocks` was written with the six networks of `nasplug_npu.networks` in view; everything else
here, timm's networks and chains drawn at random, was priced once, after it was finished. Clocks are those of the unit
by layer (everything in one SRAM), and of whole networks on the systems that the compiler knows. What weights take when
they are compressed is measured for zeros and levels.

The compiler needs other versions than nasplug, so it runs in an environment of its own. Give its interpreter:

    uv venv vela && uv pip install --python vela/bin/python ethos-u-vela==5.2.0
    OMP_NUM_THREADS=1 python benchmarks/npu_vela.py vela/bin/python
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from nasplug_npu import NPU
from nasplug_npu.networks import NETWORKS
from npu_throughput import random_network

from nasplug.workloads.workload import Workload

SCRIPT = Path(__file__).with_name("_vela_networks.py")
SIZES = ("ci", "hi", "wi", "co", "ho", "wo", "kh", "kw", "sh", "sw", "dh", "dw", "groups", "n")
TIMM = {"mobilenetv2_100": 160, "mnasnet_100": 160, "efficientnet_lite0": 128, "resnet18": 128}
CHAINS = 6
#: Networks whose totals are compared.
WHOLE = ("resnet8", "ds_cnn", "mobilenet_v1_0.25_96", "mobilenetv2_100", "chain0", "chain1")
#: Layers of each unit in the table.
PROBES = 30
UNITS = {
    **{f"ethos_u55_{macs}_sram_only": f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)},
    **{f"ethos_u65_{macs}_embedded": f"ethos-u65-{macs}" for macs in (256, 512)},
}
#: Presets with the systems and memory modes that they stand for.
SYSTEMS = {
    "ethos_u55_128": ("ethos-u55-128", "Ethos_U55_Deep_Embedded", "Shared_Sram"),
    "ethos_u55_128_high_end": ("ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos_u55_128_sram_only": ("ethos-u55-128", "Ethos_U55_Deep_Embedded", "Sram_Only"),
    "ethos_u65_256_embedded": ("ethos-u65-256", "Ethos_U65_Embedded", "Shared_Sram"),
    "ethos_u65_256_mid_end": ("ethos-u65-256", "Ethos_U65_Mid_End", "Shared_Sram"),
    "ethos_u65_256_high_end": ("ethos-u65-256", "Ethos_U65_High_End", "Shared_Sram"),
    "ethos_u65_256_client_server": ("ethos-u65-256", "Ethos_U65_Client_Server", "Shared_Sram"),
}
DENSITIES, LEVELS = (1.0, 0.75, 0.5, 0.25, 0.1), (256, 16, 4)


def networks() -> dict[str, dict[str, Workload]]:
    """Networks that the model was made with, and others."""
    import timm

    from nasplug.workloads.extract import extract

    other = {name: extract(timm.create_model(name).eval(), (3, size, size)) for name, size in TIMM.items()}
    rng = np.random.default_rng(0)
    for number in range(CHAINS):
        other[f"chain{number}"] = random_network(rng, tuple(range(8, 129, 4)), layers=20)
    return {"seen": {name: make() for name, make in NETWORKS.items()}, "unseen": other}


def rows_of(workload: Workload) -> dict[str, Any]:
    """A network as the other environment reads it; padding is the least that gives the shape of the output."""
    rows = []
    for place, kind in enumerate(workload.operations):
        row: dict[str, Any] = {name: int(getattr(workload, name)[place]) for name in SIZES}
        row |= {
            "name": f"{place}.{workload.names[place]}",
            "sources": list(workload.sources[place]),
            "post": "relu",
            "kind": kind,
        }
        if kind == "conv" and row["groups"] > 1:
            row["kind"] = "depthwise"
        valid = [
            (row[f"{axis}i"] - (row[f"k{axis}"] - 1) * row[f"d{axis}"] - 1) // row[f"s{axis}"] + 1
            for axis in ("h", "w")
        ]
        row["valid"] = int(valid == [row["ho"], row["wo"]])
        rows.append(row)
    first = [1, int(workload.hi[0]), int(workload.wi[0]), int(workload.ci[0])]
    return {"input": [1, first[3]] if workload.operations[0] == "fc" else first, "rows": rows}


def asked(python: Path, work: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the compiler says of every job; answers are kept in a folder."""
    text = json.dumps(jobs)
    kept = work / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        file = work / "jobs.json"
        file.write_text(text)
        done = subprocess.run([str(python), str(SCRIPT), str(file)], stdout=subprocess.PIPE, text=True, check=True)
        kept.write_text(done.stdout)
    found: list[dict[str, Any]] = json.loads(kept.read_text())
    for one in found:
        if "error" in one:
            raise SystemExit(f"{one['name']}: {one['error']}")
    return found


def by_layer(theirs: dict[str, Any], workload: Workload, preset: str) -> list[dict[str, Any]]:
    """Clocks of the layers that the unit computes."""
    clocks: dict[str, float] = defaultdict(float)
    for layer in theirs["layers"]:
        clocks[layer["Name"]] += float(layer["NPU"])
    table = NPU(preset).evaluate(workload)
    ours = table.layers["compute_cycles"] + table.layers["post_cycles"]
    return [
        {"place": place, "operation": kind, "vela": clocks[f"{place}.{name}"], "ours": float(cycles)}
        for place, (name, kind, cycles) in enumerate(zip(workload.names, workload.operations, ours, strict=True))
        if clocks[f"{place}.{name}"] > 0 and cycles > 0
    ]


def errors(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Relative errors without their sign, and that of the sum."""
    off = np.array([abs(row["ours"] / row["vela"] - 1) for row in rows])
    total = sum(row["ours"] for row in rows) / sum(row["vela"] for row in rows) - 1
    return {
        "layers": len(rows),
        "median": float(np.median(off)),
        "mean": float(off.mean()),
        "ninth_decile": float(np.quantile(off, 0.9)),
        "largest": float(off.max()),
        "equal": float(np.mean(off < 1e-3)),
        "sum": float(total),
    }


def layers(python: Path, work: Path, known: dict[str, dict[str, Workload]], table: Path | None) -> dict[str, Any]:
    """Clocks by layer: errors by group of networks, by unit, by kind and by network."""
    every = [(group, name, unit) for group in known for name, unit in product(known[group], UNITS)]
    jobs = [
        {
            "name": name,
            "network": rows_of(known[group][name]),
            "accelerator": UNITS[unit],
            "system": "Ethos_U55_Deep_Embedded" if "u55" in unit else "Ethos_U65_Embedded",
            "memory": "Sram_Only",
        }
        for group, name, unit in every
    ]
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {group: defaultdict(list) for group in known}
    for (group, name, unit), theirs in zip(every, asked(python, work, jobs), strict=True):
        for row in by_layer(theirs, known[group][name], unit):
            for part in ("all", unit, row["operation"], name):
                parts[group][part].append(row | {"network": name, "unit": unit})
    if table is not None:
        write_table(table, parts["unseen"], known["unseen"])
    worst = sorted(parts["unseen"]["all"], key=lambda row: -abs(row["ours"] / row["vela"] - 1))[:10]
    return {group: {part: errors(rows) for part, rows in parts[group].items()} for group in known} | {"worst": worst}


def write_table(
    file: Path, parts: dict[str, list[dict[str, Any]]], known: dict[str, Workload], units: Iterable[str] = UNITS
) -> None:
    """Some layers of every unit, all different, as a table."""
    rng, seen, lines = np.random.default_rng(0), set(), ["unit,operation," + ",".join(SIZES) + ",clocks"]
    for unit in units:
        count = 0
        for place in rng.permutation(len(parts[unit])).tolist():
            row = parts[unit][place]
            workload = known[row["network"]]
            at = row["place"]
            sizes = [str(int(getattr(workload, name)[at])) for name in SIZES]
            line = ",".join([unit, row["operation"], *sizes])
            if line in seen or count >= PROBES:
                continue
            seen.add(line)
            lines.append(f"{line},{row['vela']:.0f}")
            count += 1
    file.write_text("\n".join(lines) + "\n")


def totals(python: Path, work: Path, known: dict[str, dict[str, Workload]]) -> dict[str, Any]:
    """Clocks of whole networks on every system."""
    every = [(group, name, preset) for group in known for name, preset in product(known[group], SYSTEMS)]
    jobs = []
    for group, name, preset in every:
        accelerator, system, memory = SYSTEMS[preset]
        network = rows_of(known[group][name])
        jobs.append({"name": name, "network": network, "accelerator": accelerator, "system": system, "memory": memory})
    off: dict[str, dict[str, list[float]]] = {group: defaultdict(list) for group in known}
    for (group, name, preset), theirs in zip(every, asked(python, work, jobs), strict=True):
        ours = NPU(preset).totals(known[group][name])["cycles"]
        off[group][preset].append(ours / float(theirs["summary"]["cycles_total"]) - 1)
    return {
        group: {
            preset: {"median": float(np.median(np.abs(values))), "largest": float(np.max(np.abs(values)))}
            for preset, values in by_preset.items()
        }
        for group, by_preset in off.items()
    }


def compression(python: Path, work: Path) -> dict[str, Any]:
    """Bits per weight as the compiler stores them, for normally distributed weights with zeros at random places."""
    network = rows_of(NETWORKS["resnet20"]())
    cells = list(product(LEVELS, DENSITIES))
    jobs = [
        {
            "name": f"{levels}/{density}",
            "network": network | {"density": density, "levels": levels},
            "accelerator": "ethos-u55-128",
            "system": "Ethos_U55_Deep_Embedded",
            "memory": "Shared_Sram",
        }
        for levels, density in cells
    ]
    found: dict[str, Any] = {str(levels): {} for levels in LEVELS}
    for (levels, density), theirs in zip(cells, asked(python, work, jobs), strict=True):
        summary = theirs["summary"]
        stored = 8 * float(summary["total_npu_encoded_weights"]) / float(summary["total_original_weights"])
        found[str(levels)][str(density)] = stored
    return found


def asked_for(text: str | None) -> argparse.Namespace:
    """The command line of a comparison with the compiler; its folder of answers is made.

    Args:
        text: Description of the comparison.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path)
    parser.add_argument("--table", type=Path, help="write some of the layers of unseen networks, for a test")
    parser.add_argument("--work", type=Path, default=Path("vela-answers"), help="folder of the compiler's answers")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    return arguments


def main() -> None:
    arguments = asked_for(__doc__)
    work: Path = arguments.work
    python, started = arguments.python.absolute(), time.perf_counter()
    known = networks()
    result: dict[str, Any] = {
        "seeds": [0],
        "vela": "5.2.0",
        "networks": {key: list(some) for key, some in known.items()},
    }
    result["layers"] = layers(python, work, known, arguments.table)
    print(json.dumps({group: result["layers"][group]["all"] for group in known}), flush=True)
    result["bits_per_weight"] = compression(python, work)
    result["totals"] = totals(
        python, work, {group: {name: some[name] for name in some if name in WHOLE} for group, some in known.items()}
    )
    result["seconds"] = time.perf_counter() - started
    print(record("npu_vela", result))


if __name__ == "__main__":
    main()
