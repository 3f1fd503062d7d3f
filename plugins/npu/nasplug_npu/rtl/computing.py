"""The engine that computes: positions walk, the array sums products or takes the largest, codes follow."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed

from nasplug_npu.machine.instructions import DEPTHWISE, LARGEST
from nasplug_npu.machine.parameters import Parameters
from nasplug_npu.rtl.blocks import MacArray
from nasplug_npu.rtl.bricks import DIGITS, BrickArray
from nasplug_npu.rtl.engines import Engine
from nasplug_npu.rtl.posting import HELD, PostUnit
from nasplug_npu.rtl.walking import PLACE, SIDE, Stepper, Walker


class Computer(Engine):
    """Computes one tile per instruction, one step of all lanes per clock.

    Args:
        build: The machine.
    """

    def __init__(self, build: Parameters) -> None:
        super().__init__("compute")
        self.build = build
        self.channels = build.columns * (DIGITS if build.narrow else 1)
        self.post = PostUnit(build, self.channels)
        self.read_address = [Signal(13, name=f"read_{p}") for p in range(build.positions)]
        self.read_data = [Signal(64, name=f"data_{p}") for p in range(build.positions)]
        self.weight_row, self.weight_data = Signal(12), Signal(32 * build.row_words)
        self.mask_address, self.mask_bits = Signal(16), Signal(build.window)

    def elaborate(self, platform: Any) -> Module:
        """Stage 0 asks the buffers, stage 1 feeds the array, which takes two clocks, then sums are handed over."""
        m, build = Module(), self.build
        self.front(m)
        f = self.fields()
        m.submodules.post = post = self.post
        m.submodules.stepper = stepper = Stepper(skip=build.skip, window=build.window)
        walkers = [Walker(p) for p in range(build.positions)]
        post.f = stepper.f = f
        for p, walker in enumerate(walkers):
            walker.f, walker.before = f, walkers[p - 1] if p else None
            m.submodules[f"walker_{p}"] = walker

        # The loops: chunks of output channels, rounds of positions, steps.
        settling, running = Signal(range(build.positions + 2)), Signal()
        chunk, round_, above = Signal(10), Signal(13), Signal(17)
        base, part, reads = Signal(signed(PLACE)), Signal(8), Signal(8)
        weights, mask, first_weights, first_mask = Signal(17), Signal(16), Signal(17), Signal(16)
        credit = Signal(range(HELD + 1), init=HELD)
        step, ends_round, ends_chunk, ends_all = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(running & (~stepper.last | (credit > 0))),
            ends_round.eq(step & stepper.last),
            ends_chunk.eq(ends_round & (round_ + 1 == f["rounds"])),
            ends_all.eq(ends_chunk & (chunk + 1 == f["chunks"])),
            stepper.restart.eq(ends_round | ~running),
            stepper.go.eq(step),
            post.begin.eq(~running & (settling == 1)),
        ]
        m.d.sync += credit.eq(credit - ends_round + post.freed)
        size = Signal(7)
        m.d.comb += size.eq(
            Mux(f["mode"] == DEPTHWISE, 1, build.rows << f["input_split"])
            if build.narrow
            else Mux(f["mode"] == DEPTHWISE, 1, build.rows)
        )
        used = Signal(7)
        m.d.comb += used.eq(Mux(stepper.empty | ((f["mode"] == DEPTHWISE) & ~stepper.ends_tap), 0, size))
        with m.If(self.start):
            m.d.sync += settling.eq(build.positions + 1)
        with m.If(settling > 0):
            m.d.sync += settling.eq(settling - 1)
            with m.If(settling == 1):
                m.d.sync += [part_.eq(0) for part_ in (chunk, round_, above, base, part, reads)]
                m.d.sync += [weights.eq(f["weights"]), first_weights.eq(f["weights"])]
                m.d.sync += [mask.eq(f["mask"]), first_mask.eq(f["mask"]), running.eq(1)]
        for p, walker in enumerate(walkers):
            m.d.comb += walker.init.eq(settling == build.positions + 1 - p)
            m.d.comb += [walker.back.eq(ends_chunk), walker.go.eq(ends_round & ~ends_chunk)]
        with m.If(step):
            m.d.sync += [weights.eq(weights + used), mask.eq(mask + stepper.passed)]
        with m.If(ends_round):
            m.d.sync += [
                weights.eq(first_weights),
                mask.eq(first_mask),
                round_.eq(round_ + 1),
                above.eq(above + build.positions),
            ]
        with m.If(ends_chunk):
            m.d.sync += [chunk.eq(chunk + 1), round_.eq(0), above.eq(0)]
            m.d.sync += [weights.eq(weights + used), first_weights.eq(weights + used)]
            m.d.sync += [mask.eq(mask + stepper.left), first_mask.eq(mask + stepper.left)]
            turn = reads + 1 == f["every"]
            m.d.sync += [reads.eq(Mux(turn, 0, reads + 1)), part.eq(Mux(turn, 0, part + f["part"]))]
            m.d.sync += base.eq(base + Mux(turn, f["next_base"], 0))
        with m.If(ends_all):
            m.d.sync += running.eq(0)
        live, handed = Signal(), Signal(4)  # what is under way to the array, and from there to the post-process unit
        m.d.comb += self.finished.eq(
            self.busy & ~running & (settling == 0) & ~live & ~handed.any() & post.idle & (chunk > 0)
        )

        # Stage 0.
        per_word = 64 // build.entity
        log = per_word.bit_length() - 1
        log_parts = build.row_parts.bit_length() - 1
        inside, places = [], []
        for p, walker in enumerate(walkers):
            place, y, x = Signal(signed(PLACE), name=f"place_{p}"), Signal(signed(SIDE + 1)), Signal(signed(SIDE + 1))
            ok = Signal(name=f"inside_{p}")
            m.d.comb += [
                place.eq(walker.entity + base + stepper.offset),
                y.eq(walker.y + stepper.y),
                x.eq(walker.x + stepper.x),
                ok.eq((y >= 0) & (y < f["height"]) & (x >= 0) & (x < f["width"])),
                self.read_address[p].eq(place >> log),
            ]
            inside.append(ok)
            places.append(place)
        m.d.comb += [
            self.weight_row.eq(weights >> log_parts),
            self.mask_address.eq(mask),
            stepper.bits.eq(self.mask_bits),
        ]

        # Stage 1.
        first, last = Signal(), Signal()
        block, at, now_part = Signal(SIDE), Signal(max(log_parts, 1)), Signal(8)
        m.d.sync += [live.eq(step), first.eq(stepper.first), last.eq(ends_round), block.eq(stepper.block)]
        m.d.sync += [at.eq(weights[:log_parts] if log_parts else 0), now_part.eq(part)]
        empty = Signal()
        m.d.sync += empty.eq(stepper.empty)
        entities = []
        for p in range(build.positions):
            ok, low = Signal(name=f"was_inside_{p}"), Signal(max(log, 1), name=f"low_{p}")
            m.d.sync += [ok.eq(inside[p]), low.eq(places[p][:log] if log else 0)]
            entity = Signal(build.entity, name=f"entity_of_{p}")
            word = self.read_data[p].word_select(low, build.entity) if log else self.read_data[p]
            m.d.comb += entity.eq(Mux(ok & ~empty, word, 0))
            entities.append((entity, ok))
        dense = Signal(32 * build.row_words)
        m.d.comb += dense.eq(self.weight_data >> (at * 8 * build.columns))
        operands = self._operands(m, dense, block, now_part)
        sums = self._sums(m, [entity for entity, _ in entities], operands, live, first)
        largest = self._largest(m, *entities[0], live, first, now_part)
        m.d.sync += handed.eq(Cat(last & live, handed[:3]))
        m.d.comb += post.take.eq(handed[1])
        for p in range(build.positions):
            for c in range(self.channels):
                value: Value = sums[p][c]
                if p == 0 and c < build.lanes:
                    value = Mux(f["mode"] == LARGEST, largest[c], value)
                m.d.comb += post.sums[p][c].eq(value)
        return m

    def _operands(self, m: Module, dense: Signal, block: Signal, part: Signal) -> Signal:
        """Weights of every multiplier: as they lie in the buffer, or on a diagonal for depthwise layers."""
        build, f = self.build, self.fields()
        group = 8 * (DIGITS if build.narrow else 1)
        operands = Signal(group * build.rows * build.columns)
        splits = range(3) if build.narrow else range(1)
        lines: list[list[Value]] = []
        for xs in splits:
            for ws in splits:
                bits = 8 >> ws
                before = Signal(12, name=f"channels_before_{xs}_{ws}")
                m.d.comb += before.eq(block * (build.rows << xs))
                diagonal, straight = [], []
                for r in range(build.rows):
                    for c in range(build.columns):
                        for k in range(1 << xs):
                            element = Signal(12, name=f"element_{xs}_{ws}_{r}_{c}_{k}")
                            m.d.comb += element.eq(before + ((r << xs) + k) - part)
                            start = 8 * (((r << xs) + k) * build.columns + c)
                            straight.append(dense[start : start + 8])
                            for one in range(1 << ws):
                                channel = (c << ws) + one
                                mine = dense[channel * bits : (channel + 1) * bits]
                                diagonal.append(Mux(element == channel, mine, 0))
                        if build.narrow and xs < 2:
                            straight.append(Const(0, group - (8 << xs)))
                            diagonal.append(Const(0, group - (8 << xs)))
                lines.append([Cat(*straight), Cat(*diagonal)])
        deep = f["mode"] == DEPTHWISE
        if not build.narrow:
            m.d.comb += operands.eq(Mux(deep, lines[0][1], lines[0][0]))
            return operands
        with m.Switch(Cat(f["weight_split"], f["input_split"])):
            for xs in splits:
                for ws in splits:
                    with m.Case(ws + 4 * xs):
                        m.d.comb += operands.eq(Mux(deep, lines[3 * xs + ws][1], lines[3 * xs + ws][0]))
        return operands

    def _sums(
        self, m: Module, entities: list[Signal], operands: Signal, live: Signal, first: Signal
    ) -> list[list[Signal]]:
        """An array for each position."""
        build, f = self.build, self.fields()
        group = 8 * (DIGITS if build.narrow else 1)
        found = []
        for p, entity in enumerate(entities):
            array: Any
            if build.narrow:
                array = BrickArray(build.rows, build.columns)
                m.d.comb += [array.input_split.eq(f["input_split"]), array.weight_split.eq(f["weight_split"])]
                m.d.comb += array.signed.eq(f["signed"])
            else:
                array = MacArray(build.rows, build.columns, 8, 9, 32)
            m.submodules[f"array_{p}"] = array
            m.d.comb += [array.valid.eq(live), array.clear.eq(first)]
            for r in range(build.rows):
                byte = entity[8 * r : 8 * r + 8]
                m.d.comb += array.inputs[r].eq(byte if build.narrow else Cat(byte, byte[7] & f["signed"]).as_signed())
                for c in range(build.columns):
                    start = group * (r * build.columns + c)
                    m.d.comb += array.weights[r][c].eq(operands[start : start + group])
            found.append(array.sums)
        return found

    def _largest(
        self, m: Module, entity: Signal, inside: Signal, live: Signal, first: Signal, part: Signal
    ) -> list[Value]:
        """The largest of every channel of a window, for as many channels as there are lanes behind."""
        build, f = self.build, self.fields()
        now, begins, counts = Signal(), Signal(), Signal()
        m.d.sync += [now.eq(live), begins.eq(first), counts.eq(inside)]
        found: list[Value] = []
        splits = range(3) if build.narrow else range(1)
        for lane in range(build.lanes):
            by_split: list[Value] = []
            for split in splits:
                bits = 8 >> split
                element = (entity >> (part * bits))[lane * bits : (lane + 1) * bits]
                by_split.append(Mux(f["signed"], element.as_signed(), element))
            while len(by_split) < 4:
                by_split.append(Const(0))
            value, best, none = (
                Signal(signed(9), name=f"value_{lane}"),
                Signal(signed(9), name=f"best_{lane}"),
                Signal(init=1),
            )
            m.d.sync += value.eq(Array(by_split)[f["input_split"]])
            with m.If(now):
                replace = begins | none | (value > best)
                m.d.sync += [best.eq(Mux(replace & counts, value, best)), none.eq(~counts & (begins | none))]
            found.append(best)
        return found
