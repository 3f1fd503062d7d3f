"""From layers to four streams of instructions, and the contents of both memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nasplug_npu.machine import instructions as isa
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.layout import Ints, Map
from nasplug_npu.machine.parameters import Parameters
from nasplug_npu.machine.weights import Words


@dataclass
class Program:
    """What the machine runs.

    Attributes:
        build: Machine that it is for.
        streams: Instructions of each engine.
        weights: Contents of the memory of weights.
        map_words: Words of the memory of maps that are used.
        ends: Name of every layer, and how many stores have been done when it is.
        steps: Clocks of a round of each chunk, of computations that skip zeros, by their number.
        maps: Maps by the name of the layer that writes them; `input` is the first one.
    """

    build: Parameters
    streams: dict[str, list[int]] = field(default_factory=lambda: {engine: [] for engine in isa.ENGINES})
    weights: list[int] = field(default_factory=list)
    map_words: int = 0
    ends: list[tuple[str, int]] = field(default_factory=list)
    maps: dict[str, Map] = field(default_factory=dict)
    steps: dict[int, Ints] = field(default_factory=dict)

    def count(self, engine: str) -> int:
        """Instructions of an engine so far."""
        return len(self.streams[engine])

    def add(self, engine: str, waits: Mapping[str, int], **values: int) -> int:
        """Adds an instruction; returns how many there are then."""
        waiting = {f"wait_{name}": count for name, count in waits.items()}
        self.streams[engine].append(isa.encode(engine, {"op": isa.GO, **waiting, **values}))
        return self.count(engine)

    def place(self, words: Words) -> int:
        """Puts words into the memory of weights, at a whole burst; returns their address."""
        self.weights += [0] * (-len(self.weights) % self.build.weight_burst)
        address = len(self.weights)
        self.weights += words.tolist()
        return address

    def new_map(self, name: str, channels: int, height: int, width: int, bits: int, *, signed: bool) -> Map:
        """A map behind all others, at a whole burst.

        Args:
            name: Name of the layer that writes it.
            channels: Channels of the map.
            height: Height of the map.
            width: Width of the map.
            bits: Width of an element.
            signed: Whether elements are two's complement.
        """
        self.map_words += -self.map_words % self.build.map_burst
        made = Map(channels, height, width, bits, signed, self.map_words, self.build)
        self.map_words += made.words
        self.maps[name] = made
        return made


class Buffers:
    """Which half of a buffer is used next, and what must be done before it may be filled."""

    def __init__(self, half: int) -> None:
        self.half, self._turn = half, 0
        self._free = [0, 0]

    def take(self) -> tuple[int, int]:
        """Start of the next half, and the count (of whoever empties it) that must have come."""
        turn = self._turn
        self._turn = 1 - turn
        return turn * self.half, self._free[turn]

    def used(self, start: int, count: int) -> None:
        """Says that this half is read until that count has come."""
        self._free[1 if start else 0] = count


class Compiler:
    """Compiles layers one after the other.

    Args:
        build: The machine.
        prefetch: Whether weights are loaded while the layer before is computed. The analytic model does not count on
            it.
    """

    def __init__(self, build: Parameters, *, prefetch: bool = False) -> None:
        self.build, self.program, self.prefetch = build, Program(build), prefetch
        self.inputs = Buffers(build.input_words // 2)
        self.outputs = Buffers(build.output_words // 2)
        self.weights = Buffers(build.weight_rows // 2)
        self.records = Buffers(build.record_rows // 2)
        self.masks = Buffers(build.mask_words // 2)

    def input(self, channels: int, height: int, width: int, bits: int, *, signed: bool) -> Map:
        """The map that the network reads.

        Args:
            channels: Channels of the map.
            height: Height of the map.
            width: Width of the map.
            bits: Width of an element.
            signed: Whether elements are two's complement.
        """
        return self.program.new_map("input", channels, height, width, bits, signed=signed)

    def layer(self, layer: Layer, source: Map, second: Map | None = None, *, bands: int = 1, groups: int = 1) -> Map:
        """Adds a layer.

        Args:
            layer: The layer.
            source: Map that it reads.
            second: The other map of a sum of two.
            bands: Wanted number of tiles along rows.
            groups: Wanted number of tiles along output channels.

        Returns:
            The map it writes.

        Raises:
            SpecError: The machine cannot compute it.
        """
        from nasplug_npu.machine.lowering import Lowering

        return Lowering(self, layer, source, second).run(bands, groups)
