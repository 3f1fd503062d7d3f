"""The forms `explain`, `compare` and `topology` of `nasplug npu`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.contract.jsondata import Json
    from nasplug.workloads.workload import Workload

#: What `compare` shows of every unit, with its heading.
COMPARED = {
    "latency_s": "latency, ms",
    "energy_j": "energy, mJ",
    "power_w": "power, mW",
    "area_mm2": "area, mm²",
    "tops_per_w": "TOPS/W",
    "tops_per_mm2": "TOPS/mm²",
    "utilisation": "busy, %",
    "traffic_bytes": "traffic, kB",
    "peak_sram_bytes": "peak of maps, kB",
    "flash_bytes": "weights, kB",
}
_SCALE = {"s": 1e3, "j": 1e3, "w": 1e3, "bytes": 1e-3, "utilisation": 100.0}


def explain(workload: Workload, arguments: argparse.Namespace) -> int:
    """Prints what bounds the layers and what would help."""
    from nasplug.cli import output
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.explaining import explain
    from nasplug_npu.fronts import unpriced_note
    from nasplug_npu.roofline import draw_roofline
    from nasplug_npu.unit import NPU

    unit = NPU(arguments.target.removeprefix("npu:"))
    found = explain(workload, unit)
    if arguments.roofline:
        assert isinstance(unit.config, NPUConfig)
        title = f"{arguments.model} on {unit.config.name}"
        draw_roofline(found.spots, unit.config, arguments.roofline, title, labels=arguments.labels)
    if arguments.json:
        output.print_json({"model": arguments.model, "unit": unit.config.to_json(), **found.to_json()})
        return 0
    rows = []
    for row in sorted(found.rows(), key=lambda row: -_number(row["cycles"])):
        roof = row["of_the_roof"]
        rows.append(
            [
                *(str(row["name"]), str(row["operation"]), output.number(round(_number(row["cycles"])))),
                *(f"{100 * _number(row['share']):.1f} %", str(row["bound"])),
                "" if roof is None else f"{100 * _number(roof):.0f} %",
                "" if row["help"] is None else f"{row['help']}: -{100 * _number(row['saves']):.0f} %",
            ]
        )
    shown = rows if arguments.all else rows[: arguments.layers]
    heads = ["layer", "operation", "cycles", "of the time", "bound by", "of the roof", "what would help most"]
    output.print_table(heads, shown, numeric=["cycles", "of the time", "of the roof"])
    if len(shown) < len(rows):
        print(f"and {len(rows) - len(shown)} more, faster ones: --all shows them")
    print()
    print("waits for: " + ", ".join(f"{bound} {100 * share:.0f} %" for bound, share in found.bounds().items()))
    print()
    helps = [
        [each.change, *(_share(value) for value in (-each.latency, -each.energy, each.area))]
        for each in found.helps
        if max(abs(each.latency), abs(each.energy)) >= 0.001
    ]
    output.print_table(["change", "latency", "energy", "area"], helps, numeric=["latency", "energy", "area"])
    if len(helps) < len(found.helps):
        print(f"{plural(len(found.helps) - len(helps), 'other change')} tried, without effect: --json lists them")
    if found.table.unpriced:
        print(unpriced_note(found.table.unpriced))
    return 0


def compare(workload: Workload, arguments: argparse.Namespace) -> int:
    """Prints units side by side, and how often faster and more frugal each is than the first."""
    from nasplug.cli import output
    from nasplug_npu.area_model import costs_of_area
    from nasplug_npu.unit import NPU

    if len(arguments.units) < 2:
        raise SpecError("one unit compares nothing", where="nasplug npu compare", fix="name two units or more")
    found: dict[str, dict[str, float]] = {}
    unpriced: dict[str, list[str]] = {}
    for name in arguments.units:
        unit = NPU(name.removeprefix("npu:"))
        table = unit.evaluate(workload)
        found[name] = {**table.totals, **costs_of_area(unit.config, table.totals)}
        unpriced[name] = list(table.unpriced)
    first = found[arguments.units[0]]
    gains: dict[str, dict[str, Json]] = {
        name: {
            "speedup": first["latency_s"] / costs["latency_s"] if costs["latency_s"] else None,
            "energy_gain": first["energy_j"] / costs["energy_j"] if costs["energy_j"] else None,
        }
        for name, costs in found.items()
    }
    if arguments.json:
        units = {name: {"costs": dict(found[name]), "unpriced": list(unpriced[name]), **gains[name]} for name in found}
        output.print_json({"model": arguments.model, "units": units})
        return 0
    rows = [
        [heading, *(_cell(costs, key) for costs in found.values())]
        for key, heading in COMPARED.items()
        if any(key in costs for costs in found.values())
    ]
    for key, heading in (("speedup", "times as fast"), ("energy_gain", "times as frugal")):
        rows.append(
            [heading, *("" if gain[key] is None else output.number(_number(gain[key])) for gain in gains.values())]
        )
    rows.append(["layers not priced", *(str(len(names)) for names in unpriced.values())])
    output.print_table(["", *found], rows, numeric=list(found))
    return 0


def topology(workload: Workload, arguments: argparse.Namespace) -> int:
    """Prints or writes a topology of SCALE-Sim."""
    from nasplug_npu.config import parse_nm
    from nasplug_npu.formats.scalesim import to_scalesim, to_scalesim_products

    structure = None
    if arguments.sparsity is not None:
        structure = parse_nm(f"nm{arguments.sparsity}") if ":" in arguments.sparsity else None
        if structure is None or not 0 < structure[0] <= structure[1]:
            raise SpecError(f"{arguments.sparsity!r} is not N:M", where="--sparsity", fix="write 2:4")
        if arguments.gemm:
            raise SpecError("matrix products have no column of sparsity", where="--sparsity", fix="leave out --gemm")
    text = to_scalesim_products(workload) if arguments.gemm else to_scalesim(workload, structure=structure)
    skipped = [name for name, macs in zip(workload.names, workload.macs.tolist(), strict=True) if not macs]
    if arguments.json:
        from nasplug.cli import output

        head, *lines = [[cell.strip() for cell in line.split(",")][:-1] for line in text.splitlines()]
        layers: list[Json] = [dict(zip(head, line, strict=True)) for line in lines]
        output.print_json({"model": arguments.model, "layers": layers, "left_out": list(skipped)})
        return 0
    if arguments.out:
        Path(arguments.out).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    if skipped:
        print(f"{plural(len(skipped), 'layer')} left out, without products, such as {skipped[0]!r}", file=sys.stderr)
    return 0


def _cell(costs: dict[str, float], key: str) -> str:
    from nasplug.cli import output

    if key not in costs:
        return ""
    scale = next((scale for end, scale in _SCALE.items() if key.endswith(f"_{end}") or key == end), 1.0)
    return output.number(costs[key] * (1.0 if key == "tops_per_w" else scale))


def _share(value: float) -> str:
    return "" if value != value else f"{round(100 * value, 1) + 0.0:+.1f} %"


def _number(value: Json) -> float:
    assert isinstance(value, (int, float))
    return float(value)
