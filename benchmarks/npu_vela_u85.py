"""The model of Ethos-U85 beside the compiler that it restates, on networks that it was checked with and on others.

The reference is what Vela estimates, not a measurement of hardware. `nasplug_npu.model.ethos_u85` was written from the
compiler's published source and checked with the six networks of `nasplug_npu.networks`; the others were priced once,
after it was finished. Clocks are those of the unit by layer (everything in one SRAM), and of whole networks on the
systems that the compiler knows. A layer to which only one of the two gives clocks is counted apart: whether an addition
is done by the layer before it is for the compiler's scheduler to say.

The compiler runs in an environment of its own, see `npu_vela.py`. Give its interpreter:

    OMP_NUM_THREADS=1 python benchmarks/npu_vela_u85.py vela/bin/python
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from nasplug_npu import NPU
from nasplug_npu.model.rows import COLUMNS, pack
from npu_vela import WHOLE, asked, asked_for, errors, networks, rows_of, write_table

from nasplug.workloads.workload import Workload

MACS = (128, 256, 512, 1024, 2048)
#: Multipliers of the units whose totals are compared.
TOTALS = (256, 1024)
#: Systems of the presets with their names and memory modes in the compiler.
SYSTEMS = {
    "sram_only": ("Ethos_U85_SYS_Flash_Low", "Sram_Only"),
    "flash_low": ("Ethos_U85_SYS_Flash_Low", "Shared_Sram"),
    "flash_high": ("Ethos_U85_SYS_Flash_High", "Shared_Sram"),
    "dram_low": ("Ethos_U85_SYS_DRAM_Low", "Shared_Sram"),
    "dram_mid": ("Ethos_U85_SYS_DRAM_Mid", "Shared_Sram"),
    "dram_high": ("Ethos_U85_SYS_DRAM_High", "Shared_Sram"),
}
Known = dict[str, dict[str, Workload]]


def answers(python: Path, work: Path, workload: Workload, name: str, macs: int, system: str) -> dict[str, Any]:
    """What the compiler says of one network on one unit; kept in a folder."""
    named, memory = SYSTEMS[system]
    job = {"name": name, "network": rows_of(workload), "accelerator": f"ethos-u85-{macs}"}
    (found,) = asked(python, work, [job | {"system": named, "memory": memory}])
    return found


def layers(python: Path, work: Path, known: Known, table: Path | None) -> dict[str, Any]:
    """Clocks by layer: errors by group of networks, by unit, by kind and by network."""
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {group: defaultdict(list) for group in known}
    plain: dict[str, dict[str, list[dict[str, Any]]]] = {group: defaultdict(list) for group in known}
    alone: dict[str, list[dict[str, Any]]] = {group: [] for group in known}
    for group in known:
        for (name, workload), macs in product(known[group].items(), MACS):
            theirs: dict[str, float] = defaultdict(float)
            for layer in answers(python, work, workload, name, macs, "sram_only")["layers"]:
                theirs[layer["Name"]] += float(layer["NPU"])
            unit, followed = f"ethos_u85_{macs}_sram_only", pack(workload)[:, COLUMNS.index("chained")]
            found = NPU(unit).evaluate(workload).layers
            ours = found["compute_cycles"] + found["post_cycles"]
            for place, (title, kind, clocks) in enumerate(zip(workload.names, workload.operations, ours, strict=True)):
                row: dict[str, Any] = {"network": name, "macs": macs, "place": place, "operation": kind}
                row |= {"vela": theirs[f"{place}.{title}"], "ours": float(clocks)}
                if row["vela"] > 0 and row["ours"] > 0:
                    for part in ("all", str(macs), kind, name):
                        parts[group][part].append(row)
                    if not followed[place]:  # layers alone, for a test
                        plain[group][unit].append(row)
                elif row["vela"] > 0 or row["ours"] > 0:
                    alone[group].append(row)
            print(group, name, macs, flush=True)
    if table is not None:
        write_table(table, plain["unseen"], known["unseen"], list(plain["unseen"]))
    worst = sorted(parts["unseen"]["all"], key=lambda row: -abs(row["ours"] / row["vela"] - 1))[:10]
    return {group: {part: errors(rows) for part, rows in parts[group].items()} for group in known} | {
        "priced_by_one_alone": {
            group: {"layers": len(rows), **{side: sum(row[side] for row in rows) for side in ("ours", "vela")}}
            for group, rows in alone.items()
        },
        "worst": worst,
    }


def totals(python: Path, work: Path, known: Known) -> dict[str, Any]:
    """Clocks of whole networks on every system."""
    found: dict[str, Any] = {}
    for group in known:
        whole = {name: workload for name, workload in known[group].items() if name in WHOLE}
        found[group] = {}
        for macs, system in product(TOTALS, SYSTEMS):
            off = []
            for name, workload in whole.items():
                theirs = answers(python, work, workload, name, macs, system)["summary"]
                ours = NPU(f"ethos_u85_{macs}_{system}").totals(workload)["cycles"]
                off.append(ours / float(theirs["cycles_total"]) - 1)
            sizes = np.abs(off)
            summary = {"median": float(np.median(sizes)), "largest": float(sizes.max())}
            found[group][f"{macs}_{system}"] = summary | {"each": dict(zip(whole, off, strict=True))}
            print(group, macs, system, summary, flush=True)
    return found


def main() -> None:
    arguments = asked_for(__doc__)
    work: Path = arguments.work
    python = arguments.python.absolute()
    known = networks()
    result: dict[str, Any] = {
        "seeds": [0],
        "vela": "5.2.0",
        "networks": {key: list(some) for key, some in known.items()},
        "systems": {name: list(words) for name, words in SYSTEMS.items()},
    }
    result["layers"] = layers(python, work, known, arguments.table)
    print(json.dumps({group: result["layers"][group]["all"] for group in known}), flush=True)
    result["totals"] = totals(python, work, known)
    print(record("npu_vela_u85", result))


if __name__ == "__main__":
    main()
