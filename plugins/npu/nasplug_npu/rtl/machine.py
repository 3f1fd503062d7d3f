"""The whole machine: four engines around the buffers, with memories and programs outside."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from nasplug_npu.machine.instructions import ENGINES, TO_MASK, TO_RECORDS, TO_WEIGHTS
from nasplug_npu.machine.parameters import RECORD, Parameters
from nasplug_npu.rtl.computing import Computer
from nasplug_npu.rtl.engines import Engine, MapLoader, Storer, WeightLoader


class Machine(Elaboratable):
    """Programs in, maps and weights in, maps out.

    Memories are outside: an address and `ask` in one clock, the word and `came` any number of clocks later. Programs
    answer with the instruction in the same clock.

    Args:
        build: Numbers that it is built from.
    """

    def __init__(self, build: Parameters) -> None:
        self.build = build
        self.maps, self.weights = MapLoader(build.map_burst), WeightLoader(build.weight_burst, build.row_words)
        self.store, self.compute = Storer(build.map_burst), Computer(build)
        self.map_data, self.weight_data = Signal(64, name="map_data"), Signal(32, name="weight_data")
        self.store_data = Signal(64, name="store_data")
        self.ended = Signal()

    @property
    def engines(self) -> tuple[Engine, ...]:
        """In the order of their counts."""
        return self.maps, self.weights, self.compute, self.store

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        found: list[Value] = [self.map_data, self.weight_data, self.store_data, self.ended]
        for engine in self.engines:
            found += [engine.counter, engine.word, engine.done]
        found += [self.maps.address, self.maps.ask, self.maps.came]
        found += [self.weights.address, self.weights.ask, self.weights.came]
        return [*found, self.store.address, self.store.write]

    def elaborate(self, platform: Any) -> Module:
        """Buffers between the engines."""
        m, build = Module(), self.build
        for name, engine in zip(ENGINES, self.engines, strict=True):
            m.submodules[name] = engine
            m.d.comb += [seen.eq(other.done) for seen, other in zip(engine.counts, self.engines, strict=True)]
        m.d.comb += self.ended.eq(Cat(*(engine.ended for engine in self.engines)).all())
        compute, post = self.compute, self.compute.post

        m.submodules.input_buffer = inputs = Memory(shape=unsigned(64), depth=build.input_words, init=[])
        port = inputs.write_port()
        m.d.comb += [port.addr.eq(self.maps.write_address), port.data.eq(self.map_data), port.en.eq(self.maps.write)]
        for address, data in zip(compute.read_address, compute.read_data, strict=True):
            read = inputs.read_port()
            m.d.comb += [read.addr.eq(address), data.eq(read.data)]

        loader = self.weights
        for name, goal, depth, words in (
            ("weight_buffer", TO_WEIGHTS, build.weight_rows, build.row_words),
            ("record_buffer", TO_RECORDS, build.record_rows, RECORD * build.lanes),
            ("mask_buffer", TO_MASK, build.mask_words if build.skip else 0, 1),
        ):
            if not depth:
                continue
            m.submodules[name] = memory = Memory(shape=unsigned(32 * words), depth=depth, init=[])
            port = memory.write_port(granularity=32)
            hit = loader.write & (loader.destination == goal)
            m.d.comb += [port.addr.eq(loader.row), port.en.eq(Mux(hit, 1 << loader.slot, 0))]
            m.d.comb += port.data.eq(Cat(*[self.weight_data] * words))
            if goal == TO_MASK:
                low, high = memory.read_port(domain="comb"), memory.read_port(domain="comb")
                word = compute.mask_address >> 5
                m.d.comb += [low.addr.eq(word), high.addr.eq(word + 1)]
                m.d.comb += compute.mask_bits.eq(Cat(low.data, high.data) >> compute.mask_address[:5])
            else:
                read = memory.read_port()
                row, data = (
                    (compute.weight_row, compute.weight_data) if goal == TO_WEIGHTS else (post.record_row, post.records)
                )
                m.d.comb += [read.addr.eq(row), data.eq(read.data)]

        m.submodules.output_buffer = outputs = Memory(shape=unsigned(64), depth=build.output_words, init=[])
        port = outputs.write_port(granularity=2)
        m.d.comb += [port.addr.eq(post.write_address), port.data.eq(post.write_data), port.en.eq(post.write_mask[::2])]
        read = outputs.read_port()
        m.d.comb += [read.addr.eq(self.store.read_address), self.store_data.eq(read.data)]
        m.d.comb += self.store.granted.eq(~self.maps.ask if build.shared_port else 1)
        return m
