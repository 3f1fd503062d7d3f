"""Gates of the machine of nasplug-npu by synthesis, part by part, beside those of the area model for the same unit.

Every part is described by the package's own Amaranth modules and synthesised by Yosys to gate equivalents (areas of a
NAND gate with two inputs). The mapping is Yosys' fast one: the thorough one, with which the samples of the area model
were made, does not end on the multipliers of the post-process unit. The array is mapped both ways. Buffers are memories
and are left out on both sides. Needs the extra `rtl`; a Yosys of the system is used where there is one.

Run: nice python benchmarks/npu_gates.py
"""

from __future__ import annotations

import sys
import time
from typing import Any

from _record import record
from amaranth.hdl import Elaboratable, Module, Signal, Value
from nasplug_npu.area_model import area
from nasplug_npu.machine.instructions import INSTRUCTIONS
from nasplug_npu.machine.parameters import Parameters, parameters
from nasplug_npu.machine.units import NAMES, unit
from nasplug_npu.rtl.blocks import MacArray
from nasplug_npu.rtl.bricks import DIGITS, BrickArray
from nasplug_npu.rtl.computing import Computer
from nasplug_npu.rtl.engines import Engine, MapLoader, Storer, WeightLoader
from nasplug_npu.rtl.posting import CodeLane, PostUnit
from nasplug_npu.rtl.synthesis import synthesise
from nasplug_npu.rtl.walking import Stepper, Walker


class Alone(Elaboratable):
    """A block with all its signals as ports, and the fields of an instruction where it reads them."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.fields: list[Signal] = []
        if hasattr(block, "f"):  # whoever contains it gives it the fields of the instruction
            block.f = {field.name: _field(field) for field in INSTRUCTIONS["compute"]}
            self.fields = list(block.f.values())

    def ports(self) -> list[Value]:
        """Everything that the block has in public."""
        blocks = [self.block, *([self.block.post] if isinstance(self.block, Computer) else [])]
        return [
            *self.fields,
            *(signal for block in blocks for value in vars(block).values() for signal in _signals(value)),
        ]

    def elaborate(self, platform: Any) -> Module:
        """The block."""
        m = Module()
        m.submodules.block = self.block
        return m


def _field(field: Any) -> Signal:
    from amaranth.hdl import signed, unsigned

    return Signal(signed(field.bits) if field.signed else unsigned(field.bits), name=f"field_{field.name}")


def _signals(value: Any) -> list[Signal]:
    if isinstance(value, Signal):
        return [value]
    return [signal for item in value for signal in _signals(item)] if isinstance(value, list) else []


def parts(build: Parameters) -> dict[str, tuple[int, Any]]:
    """How often the machine has each part, and the part."""
    channels = build.columns * (DIGITS if build.narrow else 1)
    array = BrickArray(build.rows, build.columns) if build.narrow else MacArray(build.rows, build.columns, 8, 9, 32)
    engines: dict[str, Engine] = {
        "load maps": MapLoader(build.map_burst),
        "load weights": WeightLoader(build.weight_burst, build.row_words),
        "store maps": Storer(build.map_burst),
    }
    walker = Walker(1)
    walker.before = Walker(0)
    return {
        "array": (build.positions, array),
        "lanes of the post-process unit": (build.lanes, CodeLane(0)),
        "post-process unit with its lanes": (1, PostUnit(build, channels)),
        "places of the positions": (build.positions, walker),
        "steps of the kernel": (1, Stepper(skip=build.skip, window=build.window)),
        "computing engine as a whole": (1, Computer(build)),
        **{name: (1, engine) for name, engine in engines.items()},
    }


def measure(name: str) -> dict[str, Any]:
    """Synthesised and modelled gate equivalents of one unit."""
    config = unit(name)
    build = parameters(config)
    found = {}
    for part, (number, block) in parts(build).items():
        started = time.perf_counter()
        found[part] = {"number": number, "each": synthesise(Alone(block), fast=True)}
        print(name, part, found[part], f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    total = {part: values["number"] * values["each"] for part, values in found.items()}
    lanes, array = total["lanes of the post-process unit"], total["array"]
    moving = sum(total[part] for part in ("load maps", "load weights", "store maps"))
    whole = total["computing engine as a whole"]
    modelled = {part: float(gates) for part, gates in area(config).gates.items()}
    pairs = {
        "array": (array, modelled["array"] + modelled["accumulators"]),
        "lanes of the post-process unit": (lanes, modelled["post"]),
        "loaders and storer": (moving, modelled["control"]),
        "all": (whole + moving, sum(modelled.values())),
    }
    thorough = synthesise(parts(build)["array"][1])
    return {
        "array_mapped_thoroughly": thorough * build.positions,
        "fast_over_thorough_array": array / (thorough * build.positions),
        "model_over_thorough_array": pairs["array"][1] / (thorough * build.positions),
        "parts": found,
        "modelled": modelled,
        "pairs": {
            part: {"synthesised": real, "modelled": model, "ratio": model / real}
            for part, (real, model) in pairs.items()
        },
        "rest_of_the_computing_engine": whole - array - lanes,
    }


if __name__ == "__main__":
    record("npu_gates", {"seeds": [], "units": {name: measure(name) for name in NAMES}})
