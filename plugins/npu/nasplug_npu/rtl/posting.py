"""The post-process unit: sums become codes, by a line with exceptions or by comparisons, in the output buffer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal, Value, signed

from nasplug_npu.machine.instructions import LARGEST, LINE, PASS, RAW
from nasplug_npu.machine.parameters import RECORD, Parameters

#: Most exceptions of a line.
EXCEPTIONS = 4
#: Rounds of sums that wait in registers: a power of two, and more than the clocks from a step to its codes.
HELD = 8


class CodeLane(Elaboratable):
    """One sum to one code in three stages.

    A line is `floor((sum * slope + offset) / 2^shift)` between two ends, plus a small step where the sum is one of the
    exceptions; its record is slope, offset (two words), ends and shift, and a word for each exception. Comparisons
    count the thresholds that the sum reaches. Both are exactly what thresholds say: `nasplug_npu.machine.codes`.
    """

    def __init__(self, number: int) -> None:
        self.sum = Signal(signed(32), name=f"lane_{number}_sum")
        self.record = [Signal(32, name=f"lane_{number}_word_{at}") for at in range(RECORD)]
        self.post, self.thresholds, self.exceptions = Signal(2), Signal(4), Signal(3)
        self.double, self.zero = Signal(), Signal(8)
        self.code = Signal(32, name=f"lane_{number}_code")

    def elaborate(self, platform: Any) -> Module:
        """Product, then sum and shift, then the choice."""
        m = Module()
        words = [word.as_signed() for word in self.record]
        product, offset, ends = Signal(signed(64)), Signal(signed(64)), Signal(32)
        bent, reached, passed, passed_on = Signal(signed(5)), Signal(5), Signal(32), Signal(32)
        hits: list[Value] = [
            Mux((at < self.exceptions) & (word[:28].as_signed() == self.sum), word[28:].as_signed(), 0)
            for at, word in enumerate(words[4 : 4 + EXCEPTIONS])
        ]
        steps: list[Value] = [(at < self.thresholds) & (self.sum >= word) for at, word in enumerate(words)]
        m.d.sync += [
            product.eq(self.sum * words[0]),
            offset.eq(Cat(self.record[1], self.record[2]).as_signed()),
            ends.eq(self.record[3]),
            bent.eq(sum(hits, Const(0, signed(5)))),
            reached.eq(sum(steps, Const(0, 5))),
            passed.eq(self.sum),
        ]
        line, level, bent_on, reached_on = Signal(signed(64)), Signal(signed(12)), Signal(signed(5)), Signal(5)
        low, high = ends[:8], ends[8:16]
        m.d.comb += line.eq((product + offset) >> ends[16:22])
        m.d.sync += [
            level.eq(Mux(line < low, low, Mux(line > high, high, line[:12]))),
            bent_on.eq(bent),
            reached_on.eq(reached),
            passed_on.eq(passed),
        ]
        levels = Mux(self.post == LINE, level + bent_on, reached_on)
        number = Mux(self.double, levels << 1, levels) - self.zero
        m.d.sync += self.code.eq(Mux((self.post == RAW) | (self.post == PASS), passed_on, number))
        return m


class PostUnit(Elaboratable):
    """Takes the sums of one round after the other, so many per clock as it has lanes, and writes what they become.

    Some rounds of sums wait in registers, so that the array goes on.

    Args:
        build: The machine.
        channels: Most output channels of a round.
    """

    def __init__(self, build: Parameters, channels: int) -> None:
        self.build, self.channels = build, channels
        self.f: dict[str, Value] = {}
        self.begin, self.take = Signal(name="post_begin"), Signal(name="post_take")
        self.sums = [
            [Signal(signed(32), name=f"taken_{p}_{c}") for c in range(channels)] for p in range(build.positions)
        ]
        self.freed, self.idle = Signal(), Signal(name="post_idle")
        self.record_row = Signal(12)
        self.records = Signal(32 * RECORD * build.lanes)
        self.write_address, self.write_data, self.write_mask = Signal(13), Signal(64), Signal(64)

    def elaborate(self, platform: Any) -> Module:
        """Counters over positions and groups of lanes, the lanes, and the shifter in front of the buffer."""
        m, f, build = Module(), self.f, self.build
        lanes = build.lanes
        held = [
            [
                [Signal(signed(32), name=f"held_{h}_{p}_{c}") for c in range(self.channels)]
                for p in range(build.positions)
            ]
            for h in range(HELD)
        ]
        write_turn, read_turn, waiting = Signal(range(HELD)), Signal(range(HELD)), Signal(range(HELD + 1))
        with m.If(self.take):
            m.d.sync += write_turn.eq(write_turn + 1)
        for turn in range(HELD):
            with m.If(self.take & (write_turn == turn)):
                m.d.sync += [
                    mine.eq(given)
                    for of_mine, of_given in zip(held[turn], self.sums, strict=True)
                    for mine, given in zip(of_mine, of_given, strict=True)
                ]
        # Where the sums of this clock come from, and what becomes of them.
        position, quad, second = Signal(range(build.positions + 1)), Signal(6), Signal()
        done, chunk, column = Signal(17), Signal(10), Signal(9)
        quads, going = Signal(6), Signal()
        last_quad, last_lane, last_round = Signal(), Signal(), Signal()
        raw = Signal()
        two = 32 * lanes > 64
        m.d.comb += [
            going.eq(waiting > 0),
            raw.eq(f["post"] == RAW),
            quads.eq(Mux(chunk + 1 == f["chunks"], f["last_quads"], f["quads"])),
            last_quad.eq((quad + 1 == quads) & ((~raw | second) if two else 1)),
            last_round.eq(done + 1 == f["positions"]),
            last_lane.eq((position + 1 == build.positions) | last_round | (f["mode"] == LARGEST)),
            self.freed.eq(going & last_quad & last_lane),
        ]
        m.d.sync += waiting.eq(waiting + self.take - self.freed)
        # Places of outputs: entity of the position, of the block and bits inside.
        entity, of_block, bit = Signal(18), Signal(18), Signal(7)
        chunk_block, chunk_bit, chunk_record, record = Signal(18), Signal(7), Signal(12), Signal(12)
        width, size = Signal(7), Signal(7)
        widths = Array(Const(lanes * 8 >> split, 7) for split in range(4))
        m.d.comb += [width.eq(Mux(raw, 32 * lanes % 128, widths[f["out_split"]]))]
        m.d.comb += size.eq(Mux(raw, 32 * lanes % 128, build.entity))
        wraps, next_bit, next_block = Signal(), Signal(7), Signal(18)
        whole = Signal()
        m.d.comb += [
            whole.eq(raw | (bit + width == size)),
            wraps.eq(whole),
            next_bit.eq(Mux(wraps, 0, bit + width)),
            next_block.eq(of_block + Mux(wraps, f["out_next_block"], 0)),
        ]
        with m.If(self.begin):
            m.d.sync += [part.eq(0) for part in (position, quad, second, done, chunk, column, entity, of_block)]
            m.d.sync += [chunk_block.eq(0), chunk_bit.eq(f["out_bit"]), bit.eq(f["out_bit"])]
            m.d.sync += [chunk_record.eq(f["record"]), record.eq(f["record"])]
        with m.Elif(going):
            with m.If(raw & ~second & two):
                m.d.sync += second.eq(1)
            with m.Elif(~last_quad):
                m.d.sync += [second.eq(0), quad.eq(quad + 1), record.eq(record + 1)]
                m.d.sync += [bit.eq(next_bit), of_block.eq(next_block)]
            with m.Else():
                m.d.sync += [second.eq(0), quad.eq(0), record.eq(chunk_record)]
                m.d.sync += [bit.eq(chunk_bit), of_block.eq(chunk_block), done.eq(done + 1)]
                end = column + 1 == f["out_width"]
                m.d.sync += [
                    column.eq(Mux(end, 0, column + 1)),
                    entity.eq(entity + Mux(end, f["out_next_row"], 1)),
                    position.eq(Mux(last_lane, 0, position + 1)),
                ]
                with m.If(last_lane):
                    m.d.sync += read_turn.eq(read_turn + 1)
                with m.If(last_round):
                    m.d.sync += [done.eq(0), column.eq(0), entity.eq(0), chunk.eq(chunk + 1)]
                    m.d.sync += [chunk_record.eq(record + 1), record.eq(record + 1)]
                    m.d.sync += [chunk_bit.eq(next_bit), chunk_block.eq(next_block)]
                    m.d.sync += [bit.eq(next_bit), of_block.eq(next_block)]
        m.d.comb += self.record_row.eq(record)
        # Stage 0: sums out of the registers, while records are read.
        flat = [
            Cat(*(Cat(*held[turn][p][k::lanes]) for k in range(lanes)))
            for turn in range(HELD)
            for p in range(build.positions)
        ]
        chosen = Signal(32 * self.channels)
        m.d.comb += chosen.eq(Array(flat)[read_turn * build.positions + position])
        per_lane = self.channels // lanes
        ports = [Signal(signed(32), name=f"given_{k}") for k in range(lanes)]
        for k in range(lanes):
            mine = chosen[32 * per_lane * k : 32 * per_lane * (k + 1)]
            m.d.sync += ports[k].eq(mine.word_select(quad, 32))
        codes = []
        for k in range(lanes):
            lane = CodeLane(k)
            m.submodules[f"lane_{k}"] = lane
            m.d.comb += [lane.sum.eq(ports[k]), lane.post.eq(f["post"])]
            m.d.comb += [lane.thresholds.eq(f["thresholds"]), lane.exceptions.eq(f["exceptions"])]
            m.d.comb += [lane.double.eq(f["double"]), lane.zero.eq(f["zero"])]
            m.d.comb += [word.eq(self.records.word_select(at * lanes + k, 32)) for at, word in enumerate(lane.record)]
            codes.append(lane.code)
        # The place travels beside the sums.
        place, shift, alive, half_now = entity + of_block + f["out"], bit, going, second
        delayed: list[Value] = [place, shift, alive, half_now]
        for stage in range(4):
            now = [Signal(len(value), name=f"{name}_{stage}") for name, value in zip(_TRAVEL, delayed, strict=True)]
            m.d.sync += [register.eq(value) for register, value in zip(now, delayed, strict=True)]
            delayed = list(now)
        place, shift, alive, half_now = delayed
        # Stage 4: packed and shifted to its bits of the word.
        packed, mask = Signal(64), Signal(64)
        by_split = [Cat(*(code[: 8 >> split] for code in codes)) for split in range(3)]
        raw_word = Cat(*codes)
        if two:
            raw_word = raw_word.word_select(half_now, 64)
        address = Signal(24)
        log = (64 // build.entity).bit_length() - 1
        raw_bits = 32 * lanes
        in_word = Mux(
            raw,
            place * (raw_bits // 64) + half_now if two else place >> (64 // raw_bits).bit_length() - 1,
            place >> log,
        )
        low_bits: Value = place[:log] * build.entity if log else Const(0)
        raw_low: Value = place[: (64 // raw_bits).bit_length() - 1] * raw_bits if raw_bits < 64 else Const(0)
        at_bit = Signal(7)
        m.d.comb += [
            address.eq(in_word),
            at_bit.eq(Mux(raw, raw_low, low_bits + shift)),
            packed.eq(Mux(raw, raw_word, Array([*by_split, Const(0)])[f["out_split"]])),
            mask.eq(
                Mux(
                    raw,
                    (1 << min(raw_bits, 64)) - 1,
                    Array(Const((1 << (lanes * 8 >> s)) - 1, 64) for s in range(4))[f["out_split"]],
                )
            ),
            self.write_address.eq(address),
            self.write_data.eq(packed << at_bit[:6]),
            self.write_mask.eq(Mux(alive, mask << at_bit[:6], 0)),
        ]
        moving = Signal(4)
        m.d.sync += moving.eq(Cat(going, moving[:3]))
        m.d.comb += self.idle.eq((waiting == 0) & ~moving.any())
        return m


_TRAVEL = ("place", "shift", "alive", "half")
