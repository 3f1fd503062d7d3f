"""How finely layers are cut: some cuts are compiled and timed with the functional model, and the fastest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.layout import Map
from nasplug_npu.machine.parameters import Parameters
from nasplug_npu.machine.timing import layer_clocks

#: Numbers of pieces that are tried along rows, and along output channels.
PIECES = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Plan:
    """A cut.

    Attributes:
        bands: Tiles along rows.
        groups: Tiles along output channels.
        clocks: Clocks of the layer alone.
    """

    bands: int
    groups: int
    clocks: int


def plan(
    build: Parameters, layer: Layer, source: Map, second: Map | None = None, pieces: Sequence[int] = PIECES
) -> Plan:
    """The fastest cut of a layer.

    Args:
        build: The machine.
        layer: The layer.
        source: Map that it reads.
        second: The other map of a sum of two.
        pieces: Numbers of pieces to try along each side.

    Raises:
        SpecError: The machine cannot compute the layer in any of these cuts.
    """
    best: Plan | None = None
    problem: SpecError | None = None
    seen: set[tuple[int, ...]] = set()
    for bands in pieces:
        for groups in pieces:
            compiler = Compiler(build)
            try:
                sides = source.channels, source.height, source.width
                inputs = compiler.input(*sides, source.bits, signed=source.signed)
                other = None
                if second is not None:
                    other = compiler.program.new_map("second", *sides, second.bits, signed=second.signed)
                compiler.layer(layer, inputs, other, bands=bands, groups=groups)
            except SpecError as error:
                problem = problem or error
                continue
            key = tuple(compiler.program.streams["compute"])
            if key in seen:
                continue
            seen.add(key)
            ((_, clocks),) = layer_clocks(compiler.program)
            if best is None or clocks < best.clocks:
                best = Plan(bands, groups, clocks)
    if best is None:
        assert problem is not None
        raise problem
    return best
