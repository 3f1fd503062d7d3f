"""What moves words between memories and buffers: two loaders and a storer; how every engine fetches instructions."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal, Value

from nasplug_npu.machine.instructions import ENGINES, INSTRUCTIONS, TO_MASK, TO_RECORDS, TO_WEIGHTS, WIDTHS

#: Bits of the count of finished instructions.
COUNT = 12


class Engine(Elaboratable):
    """Fetches instructions, waits for the counts they name, starts them and counts those that are done.

    Args:
        kind: Name of the engine.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.counter = Signal(COUNT, name=f"{kind}_counter")
        self.word = Signal(WIDTHS[kind], name=f"{kind}_instruction")
        self.counts = [Signal(COUNT, name=f"{kind}_sees_{name}") for name in ENGINES]
        self.done = Signal(COUNT, name=f"{kind}_done")
        self.ended = Signal(name=f"{kind}_ended")
        self.start, self.finished = Signal(name=f"{kind}_start"), Signal(name=f"{kind}_finished")
        self.busy = Signal(name=f"{kind}_busy")
        self.held = Signal(WIDTHS[kind], name=f"{kind}_held")

    def fields(self) -> dict[str, Value]:
        """Fields of the instruction that runs."""
        return _fields(self.kind, self.held)

    def fetched(self) -> dict[str, Value]:
        """Fields of the instruction that comes next."""
        return _fields(self.kind, self.word)

    def front(self, m: Module) -> None:
        """Adds the front end: `start` for a clock, then `busy` until `finished`."""
        fields = self.fetched()
        arrived = [count >= fields[f"wait_{name}"] for name, count in zip(ENGINES, self.counts, strict=True)]
        m.d.comb += [
            self.ended.eq(~fields["op"] & ~self.busy),
            self.start.eq(fields["op"] & ~self.busy & Cat(*arrived).all()),
        ]
        with m.If(self.start):
            m.d.sync += [self.held.eq(self.word), self.busy.eq(1)]
        with m.If(self.finished):
            m.d.sync += [self.busy.eq(0), self.done.eq(self.done + 1), self.counter.eq(self.counter + 1)]


def _fields(kind: str, word: Value) -> dict[str, Value]:
    found: dict[str, Value] = {}
    at = 0
    for field in INSTRUCTIONS[kind]:
        part = word[at : at + field.bits]
        found[field.name] = part.as_signed() if field.signed else part
        at += field.bits
    return found


def _whole_bursts(words: Value, burst: int) -> Value:
    """Words that a memory moves, which are whole bursts; `burst` is a power of two."""
    return words if burst == 1 else (words + (burst - 1)) & ~(burst - 1)


class MapLoader(Engine):
    """Fills the input buffer. Words are asked for one per clock and come after the latency of the memory.

    Args:
        burst: Words of a burst.
    """

    def __init__(self, burst: int) -> None:
        super().__init__("maps")
        self.burst = burst
        self.address, self.ask = Signal(20, name="maps_address"), Signal(name="maps_ask")
        self.came = Signal(name="maps_came")
        self.write_address, self.write = Signal(13), Signal()

    def elaborate(self, platform: Any) -> Module:
        """One counter of what is asked for, and one of what came."""
        m = Module()
        self.front(m)
        f, next_ = self.fields(), self.fetched()
        asked, run, first = Signal(14), Signal(10), Signal(20)
        got, came_runs, target = Signal(14), Signal(10), Signal(13)
        whole = Signal(14)
        m.d.comb += whole.eq(_whole_bursts(f["words"], self.burst))
        with m.If(self.start):
            m.d.sync += [asked.eq(0), run.eq(0), got.eq(0), came_runs.eq(0)]
            m.d.sync += [first.eq(next_["memory"]), target.eq(next_["buffer"])]
        m.d.comb += [self.ask.eq(self.busy & (run < f["runs"])), self.address.eq(first + asked)]
        with m.If(self.ask):
            m.d.sync += asked.eq(asked + 1)
            with m.If(asked + 1 == whole):
                m.d.sync += [asked.eq(0), run.eq(run + 1), first.eq(first + f["stride"])]
        m.d.comb += [self.write.eq(self.came & (got < f["words"])), self.write_address.eq(target)]
        with m.If(self.came):
            m.d.sync += [got.eq(got + 1), target.eq(target + self.write)]
            with m.If(got + 1 == whole):
                m.d.sync += [got.eq(0), came_runs.eq(came_runs + 1)]
        m.d.comb += self.finished.eq(self.busy & self.came & (got + 1 == whole) & (came_runs + 1 == f["runs"]))
        return m


class WeightLoader(Engine):
    """Fills the buffers of weights, records and masks from a memory of 32-bit words, row by row.

    Args:
        burst: Words of a burst.
        row_words: Words of a row of weights.
    """

    def __init__(self, burst: int, row_words: int) -> None:
        super().__init__("weights")
        self.burst, self.row_words = burst, row_words
        self.address, self.ask = Signal(20, name="weights_address"), Signal(name="weights_ask")
        self.came = Signal(name="weights_came")
        self.row, self.slot = Signal(12), Signal(8)
        self.write, self.destination = Signal(), Signal(2)

    def elaborate(self, platform: Any) -> Module:
        """One counter of what is asked for, and one of what came."""
        m = Module()
        self.front(m)
        f, next_ = self.fields(), self.fetched()
        asked, got, whole = Signal(19), Signal(19), Signal(19)
        weights, records, masks = (Signal(19, name=f"{name}_end") for name in ("weights", "records", "masks"))
        m.d.comb += [
            weights.eq(f["words"]),
            records.eq(weights + f["record_words"]),
            masks.eq(records + f["mask_words"]),
            whole.eq(_whole_bursts(masks, self.burst)),
        ]
        with m.If(self.start):
            m.d.sync += [asked.eq(0), got.eq(0), self.row.eq(next_["row"]), self.slot.eq(0)]
        width = Signal(8)
        m.d.comb += [
            self.ask.eq(self.busy & (asked < whole)),
            self.address.eq(f["memory"] + asked),
            self.destination.eq(Mux(got < weights, TO_WEIGHTS, Mux(got < records, TO_RECORDS, TO_MASK))),
            width.eq(Array([Const(self.row_words, 8), f["record_width"], Const(1), Const(1)])[self.destination]),
            self.write.eq(self.came & (got < masks)),
            self.finished.eq(self.busy & self.came & (got + 1 == whole)),
        ]
        with m.If(self.ask):
            m.d.sync += asked.eq(asked + 1)
        with m.If(self.came):
            m.d.sync += got.eq(got + 1)
        with m.If(self.write):
            last = self.slot + 1 == width
            m.d.sync += [self.slot.eq(Mux(last, 0, self.slot + 1)), self.row.eq(self.row + last)]
            with m.If(got + 1 == weights):
                m.d.sync += [self.slot.eq(0), self.row.eq(f["record_row"])]
            with m.If(got + 1 == records):
                m.d.sync += [self.slot.eq(0), self.row.eq(f["mask_row"])]
        return m


class Storer(Engine):
    """Empties the output buffer.

    Args:
        burst: Words of a burst.
    """

    def __init__(self, burst: int) -> None:
        super().__init__("store")
        self.burst = burst
        self.granted = Signal()
        self.read_address = Signal(13)
        self.address, self.write = Signal(20, name="store_address"), Signal(name="store_write")
        self.occupied = Signal()

    def elaborate(self, platform: Any) -> Module:
        """Reads in one clock and writes in the next; words that fill the last burst are not written."""
        m = Module()
        self.front(m)
        f, next_ = self.fields(), self.fetched()
        word, run, first, source = Signal(14), Signal(10), Signal(20), Signal(13)
        whole, reading = Signal(14), Signal()
        m.d.comb += whole.eq(_whole_bursts(f["words"], self.burst))
        with m.If(self.start):
            m.d.sync += [word.eq(0), run.eq(0), first.eq(next_["memory"]), source.eq(next_["buffer"])]
        m.d.comb += [
            self.occupied.eq(self.busy & (run < f["runs"])),
            reading.eq(self.occupied & self.granted),
            self.read_address.eq(source + word),
        ]
        m.d.sync += [self.write.eq(reading & (word < f["words"])), self.address.eq(first + word)]
        with m.If(reading):
            m.d.sync += word.eq(word + 1)
            with m.If(word + 1 == whole):
                m.d.sync += [word.eq(0), run.eq(run + 1), first.eq(first + f["stride"])]
                m.d.sync += source.eq(source + f["buffer_stride"])
        m.d.comb += self.finished.eq(self.busy & ~self.occupied)
        return m
