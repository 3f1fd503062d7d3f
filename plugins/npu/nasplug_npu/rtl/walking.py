"""Where the array reads: every position walks over the map, and all step through kernel and channels together."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value, signed

#: Bits of a place in a map, counted in entities, and of a row or column.
PLACE, SIDE = 18, 9


class Walker(Elaboratable):
    """The place of one position: its entity, row and column of the first tap, and the column of its output.

    It goes to its first place, to the first place of the position before it moved on by one, or on by a round.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.entity = Signal(signed(PLACE), name=f"entity_{number}")
        self.y, self.x = Signal(signed(SIDE), name=f"y_{number}"), Signal(signed(SIDE), name=f"x_{number}")
        self.column = Signal(SIDE, name=f"column_{number}")
        self.first = [Signal.like(part, name=f"first_{part.name}") for part in self.parts()]
        self.init, self.back, self.go = Signal(name=f"init_{number}"), Signal(), Signal()
        self.f: dict[str, Value] = {}
        self.before: Walker | None = None

    def parts(self) -> tuple[Signal, Signal, Signal, Signal]:
        """What it consists of."""
        return self.entity, self.y, self.x, self.column

    def elaborate(self, platform: Any) -> Module:
        """Adders only: whoever writes the instruction has done the products."""
        m, f = Module(), self.f
        stride = f["stride"]
        if self.before is None:
            start: list[Value] = [f["origin"], f["y"], f["x"], Signal(SIDE)]
        else:
            entity, y, x, column = self.before.first
            end = column + 1 == f["out_width"]
            start = [
                entity + Mux(end, f["one_wrapped"], f["one"]),
                y + Mux(end, stride, 0),
                Mux(end, f["x"], x + stride),
                Mux(end, 0, column + 1),
            ]
        with m.If(self.init):
            m.d.sync += [part.eq(value) for part, value in zip(self.first, start, strict=True)]
            m.d.sync += [part.eq(value) for part, value in zip(self.parts(), start, strict=True)]
        with m.Elif(self.back):
            m.d.sync += [part.eq(value) for part, value in zip(self.parts(), self.first, strict=True)]
        with m.Elif(self.go):
            far = Signal(SIDE + 1)
            wraps = Signal()
            by_column = Signal(signed(SIDE + 5))
            m.d.comb += [
                far.eq(self.column + f["jump_x"]),
                wraps.eq(far >= f["out_width"]),
                by_column.eq((f["jump_x"] - Mux(wraps, f["out_width"], 0)) * stride),
            ]
            m.d.sync += [
                self.column.eq(far - Mux(wraps, f["out_width"], 0)),
                self.entity.eq(self.entity + Mux(wraps, f["jump_wrapped"], f["jump"])),
                self.y.eq(self.y + (f["jump_y"] + wraps) * stride),
                self.x.eq(self.x + by_column),
            ]
        return m


class Stepper(Elaboratable):
    """The steps of a sum: blocks of channels, inside columns, inside rows of the kernel; with zeros left out, if asked.

    Args:
        skip: Whether it can leave out steps.
        window: Most steps that it passes in a clock.
    """

    def __init__(self, *, skip: bool, window: int) -> None:
        self.skip, self.window = skip, window
        self.f: dict[str, Value] = {}
        self.restart, self.go = Signal(name="steps_restart"), Signal(name="steps_go")
        self.bits = Signal(window)
        #: What is computed in this clock: the step, unless `empty`, and whether it is the first or the last.
        self.offset = Signal(signed(PLACE), name="step_offset")
        self.y, self.x = Signal(SIDE, name="step_y"), Signal(SIDE, name="step_x")
        self.block = Signal(SIDE, name="step_block")
        self.empty, self.first, self.last = Signal(), Signal(), Signal()
        self.passed, self.left = Signal(range(window + 2)), Signal(16, name="steps_left")
        self.ends_tap = Signal()

    def elaborate(self, platform: Any) -> Module:
        """A jump over zeros, at most to the next tap, and then one step."""
        m, f = Module(), self.f
        offset, y, x, block = Signal(signed(PLACE)), Signal(SIDE), Signal(SIDE), Signal(SIDE)
        row, column = Signal(5), Signal(5)
        at_column, at_row = Signal(5), Signal(5)
        fresh = Signal()
        m.d.comb += self.first.eq(fresh)
        if self.skip:
            from nasplug_npu.rtl.blocks import ZeroSkipper

            m.submodules.skipper = skipper = ZeroSkipper(self.window, registered=False)
            left, bits = self.left, (self.window + 1).bit_length()
            skipping, jump, wraps, end = Signal(), Signal(range(self.window + 1)), Signal(), Signal()
            m.d.comb += [
                skipping.eq(f["skip"]),
                skipper.mask.eq(self.bits & Mux(end, (1 << left[:bits]) - 1, -1)),
                jump.eq(Mux(skipping, Mux(skipper.found, skipper.distance, self.window), 0)),
                end.eq(left <= self.window),
                self.empty.eq(skipping & ~skipper.found),
                wraps.eq(block + jump >= f["blocks"]),
            ]
            with m.If(self.restart):
                m.d.sync += left.eq(f["blocks"] * f["columns_of_kernel"] * f["rows_of_kernel"])
            with m.Elif(self.go):
                m.d.sync += left.eq(left - self.passed)
        else:
            jump, wraps, skipping = Signal(), Signal(), Signal()
        last_column, last_row = Signal(), Signal()
        m.d.comb += [
            last_column.eq(column + 1 == f["columns_of_kernel"]),
            self.block.eq(block + jump - Mux(wraps, f["blocks"], 0)),
            self.offset.eq(
                offset
                + jump * f["next_block"]
                + Mux(wraps, Mux(last_column, f["next_row"], f["next_column"]) - f["next_block"], 0)
            ),
            at_column.eq(Mux(wraps, Mux(last_column, 0, column + 1), column)),
            at_row.eq(row + (wraps & last_column)),
            self.x.eq(Mux(wraps, Mux(last_column, 0, x + f["dilation"]), x)),
            self.y.eq(y + Mux(wraps & last_column, f["dilation"], 0)),
            self.ends_tap.eq(self.block + 1 == f["blocks"]),
            last_row.eq(at_row + 1 == f["rows_of_kernel"]),
        ]
        ends_row = Signal()
        m.d.comb += ends_row.eq(at_column + 1 == f["columns_of_kernel"])
        if self.skip:
            m.d.comb += self.last.eq(
                Mux(skipping, end & (self.empty | ~skipper.rest.any()), self._ends(ends_row, last_row))
            )
            m.d.comb += self.passed.eq(jump + ~self.empty)
        else:
            m.d.comb += [self.last.eq(self._ends(ends_row, last_row)), self.passed.eq(1)]
        with m.If(self.restart):
            m.d.sync += [part.eq(0) for part in (offset, y, x, block, row, column)]
            m.d.sync += fresh.eq(1)
        with m.Elif(self.go):
            m.d.sync += fresh.eq(fresh & self.empty)
            with m.If(self.empty):
                m.d.sync += [offset.eq(self.offset), block.eq(self.block), column.eq(at_column), row.eq(at_row)]
                m.d.sync += [x.eq(self.x), y.eq(self.y)]
            with m.Elif(~self.ends_tap):
                m.d.sync += [offset.eq(self.offset + f["next_block"]), block.eq(self.block + 1)]
                m.d.sync += [x.eq(self.x), y.eq(self.y), column.eq(at_column), row.eq(at_row)]
            with m.Elif(~ends_row):
                m.d.sync += [offset.eq(self.offset + f["next_column"]), block.eq(0), column.eq(at_column + 1)]
                m.d.sync += [x.eq(self.x + f["dilation"]), y.eq(self.y), row.eq(at_row)]
            with m.Else():
                m.d.sync += [offset.eq(self.offset + f["next_row"]), block.eq(0), column.eq(0)]
                m.d.sync += [x.eq(0), y.eq(self.y + f["dilation"]), row.eq(at_row + 1)]
        return m

    def _ends(self, ends_row: Value, last_row: Value) -> Value:
        return self.ends_tap & ends_row & last_row
