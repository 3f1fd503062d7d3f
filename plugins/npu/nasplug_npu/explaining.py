"""What bounds every layer of a network on a unit, and what would help.

The unit is asked again with one part doubled, and the network with narrower or fewer weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.jsondata import Json
from nasplug.workloads.workload import Workload
from nasplug_npu.area_model import area, has_area
from nasplug_npu.config import POST_OPERATIONS, NPUConfig
from nasplug_npu.model.rows import Array
from nasplug_npu.roofline import Spot, roofline
from nasplug_npu.unit import NPU, CostTable

#: Parts that are doubled, by what a person calls it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "twice the bandwidth of the weights' memory": ("weight_bytes_per_cycle",),
    "twice the bandwidth of the maps' memory": ("act_bytes_per_cycle",),
    "twice the weight buffer": ("weight_kb",),
    "twice the input buffer": ("input_kb",),
    "twice the output buffer": ("output_kb",),
    "twice as wide buffer ports": ("weight_port_bits", "input_port_bits", "output_port_bits"),
    "twice the post-process unit": ("ppu_per_cycle",),
}
#: Parts that cost time once per layer or tile, and that are halved.
OVERHEADS: Mapping[str, tuple[str, ...]] = {
    "half of the set-up of layers and tiles": ("layer_cycles", "tile_cycles"),
    "half of the latency of the memories": ("act_latency", "weight_latency"),
}
#: What a field of a unit may be.
Field: TypeAlias = float | str | tuple[str, ...]
#: Savings below this share of the time are not named as help.
LEAST = 0.01


@dataclass(frozen=True)
class Help:
    """A change, and what it saves.

    Attributes:
        change: Change in words.
        fields: Fields of the unit, or columns of the workload, that are changed, with their new values.
        of_network: Whether the network changes and not the unit.
        latency: Share of the latency that is saved; negative if it grows.
        energy: Share of the energy that is saved.
        area: Share by which the area grows; NaN where it is not known.
        layers: Clocks that each layer saves, (L,).
    """

    change: str
    fields: Mapping[str, Field]
    of_network: bool
    latency: float
    energy: float
    area: float
    layers: Array


@dataclass(frozen=True)
class Explanation:
    """Why a network takes as long as it does on a unit.

    Attributes:
        table: Costs of the network and of its layers.
        helps: Changes, those that save most latency first.
        spots: Layers that multiply, in the roofline.
    """

    table: CostTable
    helps: tuple[Help, ...]
    spots: tuple[Spot, ...]

    def best_of(self, row: int) -> Help | None:
        """The change of the unit that saves most of one layer, or none if all of them save next to nothing."""
        units = [found for found in self.helps if not found.of_network]
        best = max(units, key=lambda found: float(found.layers[row]), default=None)
        cycles = float(self.table.layers["cycles"][row])
        return best if best is not None and float(best.layers[row]) > LEAST * cycles else None

    def bounds(self) -> dict[str, float]:
        """Share of the latency by what its layers wait for, largest first."""
        cycles = np.asarray(self.table.layers["cycles"], dtype=np.float64)
        total = max(float(cycles.sum()), 1e-300)
        found: dict[str, float] = {}
        for bound, value in zip(self.table.layers["bound"], cycles.tolist(), strict=True):
            found[bound] = found.get(bound, 0.0) + value / total
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def rows(self) -> list[dict[str, Json]]:
        """One dictionary per layer: share of the time, bound, share of the roof, and what would help it most."""
        cycles = np.asarray(self.table.layers["cycles"], dtype=np.float64)
        total = max(float(cycles.sum()), 1e-300)
        # Layers may share a name; those that multiply are in the roofline, in order.
        spots = iter(self.spots)
        macs = np.asarray(self.table.layers["macs"]).tolist()
        found: list[dict[str, Json]] = []
        for row, name in enumerate(self.table.names):
            spot, best = next(spots) if macs[row] else None, self.best_of(row)
            found.append(
                {
                    "name": name,
                    "operation": self.table.operations[row],
                    "cycles": float(cycles[row]),
                    "share": float(cycles[row]) / total,
                    "bound": str(self.table.layers["bound"][row]),
                    "of_the_roof": None if spot is None else spot.fraction,
                    "help": None if best is None else best.change,
                    "saves": 0.0 if best is None else float(best.layers[row]) / float(cycles[row]),
                }
            )
        return found

    def to_json(self) -> dict[str, Json]:
        """Plain data."""
        return {
            "totals": dict(self.table.totals),
            "unpriced": list(self.table.unpriced),
            "bounds": dict(self.bounds()),
            "layers": list(self.rows()),
            "helps": [
                {
                    "change": found.change,
                    "of": "network" if found.of_network else "unit",
                    "fields": {
                        name: list(value) if isinstance(value, tuple) else value for name, value in found.fields.items()
                    },
                    "latency_saved": found.latency,
                    "energy_saved": found.energy,
                    "area_added": None if np.isnan(found.area) else found.area,
                }
                for found in self.helps
            ],
        }


def explain(workload: Workload, unit: NPU) -> Explanation:
    """What bounds every layer, and what would help.

    Args:
        workload: Network.
        unit: Unit with parts; processors that are described by rates have none.

    Raises:
        SpecError: The unit is described by rates.
        TrialError: See `NPU.totals`.
    """
    config = unit.config
    if not isinstance(config, NPUConfig):
        raise SpecError(f"{config.name} has no parts to explain", where="explain", fix="use a unit, such as wu32")
    table = unit.evaluate(workload)
    helps = []
    for change, fields in (*_changes(config), *_operations(workload, config)):
        try:
            other = config.replace(**fields)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a buffer beyond the tables is only a question here
                found = NPU(other, unit.unsupported).evaluate(workload)
        except NasplugError:  # a unit that cannot be, such as an Ethos of another size
            continue
        helps.append(_help(change, fields, False, table, found, config, other))
    for change, columns in _networks(workload):
        found = unit.evaluate(workload.replace(**columns))
        helps.append(_help(change, columns, True, table, found, config, config))
    helps.sort(key=lambda found: -found.latency)
    return Explanation(table, tuple(helps), tuple(roofline(table, config)))


def _help(
    change: str,
    fields: Mapping[str, Field],
    of_network: bool,
    before: CostTable,
    after: CostTable,
    config: NPUConfig,
    other: NPUConfig,
) -> Help:
    def saved(key: str) -> float:
        return 1 - after.totals[key] / before.totals[key] if before.totals[key] else 0.0

    grown = area(other).total_mm2 / area(config).total_mm2 - 1 if has_area(config) else float("nan")
    layers = np.asarray(before.layers["cycles"]) - np.asarray(after.layers["cycles"])
    return Help(change, dict(fields), of_network, saved("latency_s"), saved("energy_j"), float(grown), layers)


def _changes(config: NPUConfig) -> Iterator[tuple[str, dict[str, Field]]]:
    """Units with one part changed."""
    ports: dict[str, Field] = {
        name: 2 * getattr(config, name) for name in ("weight_port_bits", "input_port_bits", "output_port_bits")
    }
    named = config.named_shapes
    if not named:
        wider = {} if config.dataflow.startswith("ethos") else ports
        yield "twice the multipliers", {"macs": 2 * config.macs} | wider
    else:
        for side, called in enumerate(("input channels", "output channels", "positions")):
            shapes = ["x".join(str(size * (1 + (at == side))) for at, size in enumerate(shape)) for shape in named]
            if side < 2 or not config.dataflow.startswith("systolic"):
                larger: dict[str, Field] = {
                    "macs": 2 * config.macs,
                    "shapes": ("of:" if len(shapes) > 1 else "fixed:") + "+".join(shapes),
                }
                yield f"twice the multipliers, along {called}", larger | ports
        if config.dataflow == "tree" and config.macs & (config.macs - 1) == 0:
            yield "an array that takes any shape", {"shapes": "pow2"}
    for change, names in PARTS.items():
        if config.dataflow.startswith("ethos") and names == ("weight_kb",):
            continue  # it stands for the system's memory
        yield change, {name: 2 * getattr(config, name) for name in names}
    for change, names in OVERHEADS.items():
        yield change, {name: getattr(config, name) // 2 for name in names}
    if config.ports != "separate":
        yield "memory ports of their own", {"ports": "separate"}


def _operations(workload: Workload, config: NPUConfig) -> Iterator[tuple[str, dict[str, Field]]]:
    """The unit with a post-process unit that does what the network needs and it cannot do."""
    missing = tuple(sorted({*workload.operations} & {*config.unpriced} & {*POST_OPERATIONS}))
    if missing:
        yield (
            f"a post-process unit that does {', '.join(missing)}",
            {"ppu_operations": (*config.ppu_operations, *missing)},
        )


def _networks(workload: Workload) -> Iterator[tuple[str, dict[str, float]]]:
    """Networks with fewer bits or products."""
    constant = workload.mask("conv", "fc")
    bits, density = workload.weight_bits[constant], workload.weight_density[constant]
    if constant.any() and bits.max() > 4:
        yield "weights of 4 bits", {"weight_bits": 4}
    if constant.any() and density.max() > 0.5:
        yield "half of the weights zero", {"weight_density": 0.5}
