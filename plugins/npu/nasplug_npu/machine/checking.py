"""Runs layers on a machine and compares what it stores with what integers say, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplug_npu.machine.compiler import Compiler, Program
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.simulators import Outcome, Simulator


@dataclass(frozen=True)
class Checked:
    """One layer after a simulation.

    Attributes:
        name: Name of the layer.
        clocks: Clocks from the end of the layer before to its own.
        numbers: Numbers that were compared.
        differing: Number of those that differ.
    """

    name: str
    clocks: int
    numbers: int
    differing: int


def check(
    simulator: Simulator, compiler: Compiler, layers: Sequence[Layer], inputs: Ints, limit: int = 20_000_000
) -> list[Checked]:
    """Simulates a compiled chain of layers and compares every map.

    Args:
        simulator: Simulator of the machine.
        compiler: Compiler that the layers were given to, one after the other.
        layers: The layers.
        inputs: Map that the first one reads (C, H, W).
        limit: Most clocks.
    """
    program = compiler.program
    outcome = simulator.run(program, program.maps["input"].pack(inputs), limit)
    clocks = dict(outcome.layers(program))
    found = []
    for layer in layers:
        inputs = layer(inputs)
        stored = read_map(program, outcome, layer.name)
        found.append(Checked(layer.name, clocks[layer.name], inputs.size, int((stored != inputs).sum())))
    return found


def read_map(program: Program, outcome: Outcome, name: str) -> Ints:
    """A map out of the memory of maps, (C, H, W).

    Args:
        program: Program that ran.
        outcome: Outcome of the simulation.
        name: Name of the layer that wrote it.
    """
    place = program.maps[name]
    return place.unpack(outcome.maps[place.address : place.address + place.words])
