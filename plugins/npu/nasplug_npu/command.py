"""`nasplug npu`: estimates of networks on units, explorations of units, the presets, and what engineers ask of both."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from nasplug.cli.parser import Parser
    from nasplug.workloads.workload import Workload

#: What `explore` varies if nothing is said.
AXES: dict[str, list[Any]] = {
    "macs": [8, 16, 32, 64, 128, 256],
    "weight_kb": [4, 8, 16, 32, 64],
    "input_kb": [8, 16, 32, 64, 128],
    "output_kb": [4, 8, 16, 32, 64],
    "act_bytes_per_cycle": [2, 4, 8, 16],
    "sparsity": ["none", "weight_skip"],
}
#: Changes to the precision and the zeros of all layers.
_CHANGES = ("weight_bits", "input_bits", "output_bits", "weight_density", "input_density")


class NPUCommand:
    """Estimates networks on neural processing units, and explores units for networks."""

    def add_arguments(self, parser: Parser) -> None:
        """Adds the forms."""
        from nasplug.cli.parser import image_shape, key_value
        from nasplug_npu.models import FORMS

        forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
        estimate = forms.add_parser("estimate", help="latency, energy and memory of a network, layer by layer")
        estimate.add_argument("model", metavar="MODEL", help=FORMS)
        estimate.add_argument(
            "--target",
            metavar="UNIT",
            default="wu32",
            help="a preset or a YAML file, with changes, such as wu32,macs=64 or mine.yaml (default: wu32)",
        )
        estimate.add_argument("--layers", action="store_true", help="print every layer")
        estimate.add_argument("--json", action="store_true", help="print everything as JSON")
        estimate.add_argument("--roofline", metavar="FILE", help="draw the layers under the unit's roof")
        explore = forms.add_parser("explore", help="all units that no other unit beats, within an area budget")
        explore.add_argument(
            "model", metavar="MODEL", nargs="+", help="network, as for estimate; several are priced together"
        )
        explore.add_argument("--base", metavar="UNIT", default="wu32", help="unit that the axes vary (default: wu32)")
        explore.add_argument(
            "--axis",
            metavar="FIELD=A,B,...",
            action="append",
            default=[],
            help="values to try; may be repeated (default: multipliers, buffers, bandwidth and skipping)",
        )
        explore.add_argument("--max-area", metavar="MM2", type=float, default=float("inf"), help="area budget")
        explore.add_argument(
            "--objectives",
            metavar="NAMES",
            default="area_mm2,latency_s,energy_j",
            help="objectives to minimise, with commas (default: %(default)s)",
        )
        explore.add_argument("--combine", default="sum", help="costs of several networks: sum or worst (default: sum)")
        explore.add_argument(
            "--surrogate",
            metavar="N",
            type=int,
            default=0,
            help="have a surrogate that learns from N units screen the others; the front may then lack units",
        )
        explore.add_argument("--out", metavar="FILE", help="write the front: .json, .csv, .html, .png, .svg or .pdf")
        explore.add_argument("--json", action="store_true", help="print the front as JSON")
        explained = forms.add_parser("explain", help="say what bounds every layer, and what would help by how much")
        explained.add_argument("model", metavar="MODEL", help=FORMS)
        explained.add_argument("--target", metavar="UNIT", default="wu32", help="unit, as for estimate (default: wu32)")
        explained.add_argument(
            "--layers", metavar="N", type=int, default=12, help="number of slowest layers (default: 12)"
        )
        explained.add_argument("--all", action="store_true", help="show all layers")
        explained.add_argument("--json", action="store_true", help="print everything as JSON")
        explained.add_argument("--roofline", metavar="FILE", help="draw the layers under the unit's roof, with names")
        explained.add_argument("--labels", metavar="N", type=int, default=6, help="names in it (default: 6)")
        compared = forms.add_parser("compare", help="units side by side for one network")
        compared.add_argument("model", metavar="MODEL", help=FORMS)
        compared.add_argument("units", metavar="UNIT", nargs="+", help="two or more units; gains are over the first")
        compared.add_argument("--json", action="store_true", help="print everything as JSON")
        topology = forms.add_parser("topology", help="write the layers of a network as a topology of SCALE-Sim")
        topology.add_argument("model", metavar="MODEL", help=FORMS)
        topology.add_argument("--out", metavar="FILE", help="file to write (default: stdout)")
        topology.add_argument("--gemm", action="store_true", help="write matrix products, which all layers have")
        topology.add_argument("--sparsity", metavar="N:M", help="add the column of structured weights")
        topology.add_argument("--json", action="store_true", help="print the layers as JSON")
        for form in (estimate, explore, explained, compared, topology):
            form.add_argument("--input", metavar="SHAPE", type=image_shape, help="one input, such as 3x224x224")
            form.add_argument(
                "--set",
                metavar="NAME=VALUE",
                action="append",
                default=[],
                type=key_value,
                help=f"value for all layers: {', '.join(_CHANGES)}; may be repeated",
            )
        from nasplug_npu.machine.command import add_arguments

        add_arguments(forms.add_parser("run", help="run a folded network on simulated hardware, beside the model"))
        presets = forms.add_parser("presets", help="list the presets, or print one")
        presets.add_argument(
            "name", metavar="NAME", nargs="?", help="print the fields of this one, or of a file, as YAML"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Does what the form says."""
        from nasplug_npu import engineer
        from nasplug_npu.machine.command import execute

        if arguments.form == "run":
            return execute(arguments)
        forms = {"explain": engineer.explain, "compare": engineer.compare, "topology": engineer.topology}
        if arguments.form in forms:
            return forms[arguments.form](_workload(arguments.model, arguments), arguments)
        return {"estimate": _estimate, "explore": _explore, "presets": _presets}[arguments.form](arguments)


#: What the catalogue names.
command = NPUCommand()
command.__doc__ = NPUCommand.__doc__


def _workload(model: str, arguments: argparse.Namespace) -> Workload:
    from nasplug_npu.models import read_workload

    workload = read_workload(model, arguments.input, arguments)
    for name, value in arguments.set:
        if name not in _CHANGES or isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise SpecError(f"cannot set {name} to {value!r}", where="--set", fix=f"set one of {', '.join(_CHANGES)}")
        workload = workload.replace(**{name: value})
    return workload


def _estimate(arguments: argparse.Namespace) -> int:
    from nasplug.cli import output
    from nasplug_npu.area_model import costs_of_area
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.unit import NPU

    unit = NPU(arguments.target.removeprefix("npu:"))
    table = unit.evaluate(_workload(arguments.model, arguments))
    config = unit.config
    totals = {**table.totals, **costs_of_area(config, table.totals)}
    if arguments.roofline:
        from nasplug_npu.roofline import draw_roofline, roofline

        if not isinstance(config, NPUConfig):
            raise SpecError(f"{config.name} has no roof", where="--roofline", fix="use a unit, such as wu32")
        draw_roofline(roofline(table, config), config, arguments.roofline, f"{arguments.model} on {config.name}")
    if arguments.json:
        output.print_json({"model": arguments.model, "unit": config.to_json(), **table.to_json(), "totals": totals})
        return 0
    if arguments.layers:
        rows = [
            [
                *(row["name"], row["operation"], output.number(row["macs"]), output.number(round(row["cycles"]))),
                *(str(row.get("bound", "")), "x".join(f"{size:g}" for size in row.get("shape", ()))),
            ]
            for row in table.rows()
        ]
        output.print_table(
            ["layer", "operation", "macs", "cycles", "bound by", "array"], rows, numeric=["macs", "cycles"]
        )
        print()
    rows = [[name, output.number(value)] for name, value in totals.items()]
    output.print_table(["cost", "value"], rows, numeric=["value"])
    if table.unpriced:
        from nasplug_npu.fronts import unpriced_note

        print(unpriced_note(table.unpriced))
    return 0


def _explore(arguments: argparse.Namespace) -> int:
    from nasplug.cli import output
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.exploration import explore
    from nasplug_npu.fronts import unpriced_note, write_front
    from nasplug_npu.presets import parse, preset
    from nasplug_npu.rates import RateConfig

    base, policy = parse(arguments.base.removeprefix("npu:"))
    if not isinstance(base, NPUConfig):
        raise SpecError(f"{base.name} has no parts to vary", where="--base", fix="use a unit, such as wu32")
    networks = {model: _workload(model, arguments) for model in arguments.model}
    if policy == "error":
        _refuse_unsupported(networks, base)
    cpu = preset("cortex_m7_xcubeai") if policy == "cpu" else None
    assert cpu is None or isinstance(cpu, RateConfig)
    found = explore(
        networks,
        base,
        dict(map(_axis, arguments.axis)) or AXES,
        max_area=arguments.max_area,
        objectives=arguments.objectives.split(","),
        combine=arguments.combine,
        cpu=cpu,
        surrogate=arguments.surrogate,
    )
    if arguments.out:
        write_front(found, arguments.out, f"Units for {', '.join(arguments.model)}")
    if arguments.json:
        output.print_json(found.to_json())
        return 0
    rows = found.rows()
    cells = [[output.number(v) if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    output.print_table(list(rows[0]), cells, numeric=list(found.objectives))
    print("; ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in found.counts.items()))
    if found.surrogate:
        (time, energy), (late, spent) = found.surrogate.median, found.surrogate.margin
        print(
            f"the surrogate errs by {time:.2%} (latency) and {energy:.2%} (energy) in the median; units were screened "
            f"with factors of {late:.3f} and {spent:.3f} to spare, and may be missing from the front"
        )
    if found.unpriced:
        print(unpriced_note(found.unpriced))
    return 0


def _refuse_unsupported(networks: dict[str, Workload], base: Any) -> None:
    """Under the policy `error`, before anything is searched."""
    from nasplug_npu.unit import NPU

    for workload in networks.values():
        NPU(base.replace(weight_kb=1024, input_kb=1024, output_kb=1024)).totals(workload)


def _axis(text: str) -> tuple[str, list[Any]]:
    from nasplug.cli.parser import parse_scalar
    from nasplug_npu.presets import split

    name, equals, values = text.partition("=")
    if not equals or not values:
        raise SpecError(f"{text!r} is not an axis", where="--axis", fix="write FIELD=A,B such as macs=16,32,64")
    return name.strip(), [parse_scalar(value) for value in split(values)]


def _presets(arguments: argparse.Namespace) -> int:
    from nasplug.cli import output
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.presets import preset, preset_names

    if arguments.name:
        import yaml

        print(yaml.safe_dump(preset(arguments.name).to_json(), sort_keys=False), end="")
        return 0
    rows = []
    for name in preset_names():
        config = preset(name)
        kind = f"{config.macs} multipliers, {config.dataflow}" if isinstance(config, NPUConfig) else "rates"
        free = f"{'cannot do' if isinstance(config, NPUConfig) else 'no rate for'} {', '.join(config.unpriced)}"
        rows.append([name, kind, f"{config.freq_hz / 1e6:g} MHz", free])
    output.print_table(["preset", "what", "clock", "not priced"], rows, numeric=["clock"])
    return 0
