"""Arrays of multipliers made of bricks: narrow inputs sum more channels, narrow weights give more of them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Elaboratable, Module, Mux, Signal, Value, signed, unsigned

from nasplug_npu.rtl.blocks import _tree

#: Digits of 2 bits in a native operand.
DIGITS = 4


class BrickMultiplier(Elaboratable):
    """Sixteen bricks of 2 x 2 bits that multiply one byte of inputs by weights: 1 to 16 products per clock.

    The byte holds 1, 2 or 4 inputs (`input_split` 0, 1, 2), one for each of as many input channels; each has weights
    for 1, 2 or 4 output channels (`weight_split`). Products of one output channel are added, those of others kept apart
    (Bit Fusion, arXiv 1712.01507, sums both).

    `weight` has a group of 8 bits for each input of the byte, and in it one weight for each output channel.
    """

    def __init__(self) -> None:
        self.input, self.weight = Signal(8), Signal(8 * DIGITS)
        self.input_split, self.weight_split, self.signed = Signal(2), Signal(2), Signal()
        self.sums = [Signal(signed(20), name=f"of_channel_{c}") for c in range(DIGITS)]

    def elaborate(self, platform: Any) -> Module:
        """Digits, bricks, and what each column of bricks is worth."""
        m = Module()
        columns = []
        for i in range(DIGITS):  # digit of the weights
            total: list[Value] = []
            for j in range(DIGITS):  # digit of the inputs
                low = self.input[2 * j : 2 * j + 2]
                x = Signal(signed(3), name=f"x_{i}_{j}")
                m.d.comb += x.eq(Cat(low, low[1] & self.signed & _is_top(j, self.input_split)).as_signed())
                groups = [self.weight[8 * (j * (1 << s) // DIGITS) + 2 * i :][:2] for s in range(3)]
                digit = Signal(2, name=f"digit_{i}_{j}")
                m.d.comb += digit.eq(Array([*groups, groups[0]])[self.input_split])
                w = Signal(signed(3), name=f"w_{i}_{j}")
                m.d.comb += w.eq(Cat(digit, digit[1] & _is_top(i, self.weight_split)).as_signed())
                product = Signal(signed(6), name=f"brick_{i}_{j}")
                m.d.comb += product.eq(x * w)
                shifts = [2 * (j % (DIGITS >> s)) for s in range(3)]
                total.append(_shifted(product, shifts, self.input_split))
            column = Signal(signed(16), name=f"column_{i}")
            m.d.comb += column.eq(_tree(total))
            columns.append(column)
        whole = columns[0] + (columns[1] << 2) + (columns[2] << 4) + (columns[3] << 6)
        halves = [columns[2 * h] + (columns[2 * h + 1] << 2) for h in range(2)]
        for c in range(DIGITS):
            of_halves: Value = halves[c] if c < 2 else Const(0)
            of_one: Value = whole if c == 0 else Const(0)
            m.d.comb += self.sums[c].eq(Array([of_one, of_halves, columns[c], Const(0)])[self.weight_split])
        return m


class BrickArray(Elaboratable):
    """`rows` x `columns` multipliers of bricks, summed over rows, with an accumulator for each output channel.

    Args:
        rows, columns: Multipliers.
        accumulator_bits: Width of a sum.
    """

    def __init__(self, rows: int, columns: int, accumulator_bits: int = 32) -> None:
        self.rows, self.columns = rows, columns
        self.clear, self.valid = Signal(), Signal()
        self.input_split, self.weight_split, self.signed = Signal(2), Signal(2), Signal()
        self.inputs = [Signal(8, name=f"input_{r}") for r in range(rows)]
        self.weights = [[Signal(unsigned(32), name=f"weight_{r}_{c}") for c in range(columns)] for r in range(rows)]
        #: By output channel: as many of them as the weights give are used, the first ones.
        self.sums = [Signal(signed(accumulator_bits), name=f"sum_{c}") for c in range(DIGITS * columns)]

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        modes = [self.input_split, self.weight_split, self.signed]
        return [self.clear, self.valid, *modes, *self.inputs, *(w for row in self.weights for w in row), *self.sums]

    def elaborate(self, platform: Any) -> Module:
        """Products in the first clock, sums in the second."""
        m = Module()
        clear, valid = Signal(), Signal()
        m.d.sync += [clear.eq(self.clear), valid.eq(self.valid)]
        totals: list[list[Value]] = []
        for c in range(self.columns):
            of_column: list[list[Value]] = [[] for _ in range(DIGITS)]
            for r in range(self.rows):
                bricks = BrickMultiplier()
                m.submodules[f"multiplier_{r}_{c}"] = bricks
                m.d.comb += [bricks.input.eq(self.inputs[r]), bricks.weight.eq(self.weights[r][c])]
                m.d.comb += [bricks.input_split.eq(self.input_split), bricks.weight_split.eq(self.weight_split)]
                m.d.comb += bricks.signed.eq(self.signed)
                for part in range(DIGITS):
                    product = Signal(signed(20), name=f"product_{r}_{c}_{part}")
                    m.d.sync += product.eq(bricks.sums[part])
                    of_column[part].append(product)
            sums = []
            for part in range(DIGITS):
                total = Signal(signed(24), name=f"total_{c}_{part}")
                m.d.comb += total.eq(_tree(of_column[part]))
                sums.append(total)
            totals.append(list[Value](sums))
        for channel, accumulator in enumerate(self.sums):
            by_split: list[Value] = []
            for split in range(3):
                column, part = divmod(channel, 1 << split)
                by_split.append(totals[column][part] if column < self.columns else Const(0))
            total = Array([*by_split, Const(0)])[self.weight_split]
            with m.If(valid):
                m.d.sync += accumulator.eq(Mux(clear, 0, accumulator) + total)
        return m


def _is_top(digit: int, split: Signal) -> Value:
    """Whether a digit is the highest of its element, which carries the sign."""
    tops = [digit % (DIGITS >> s) == (DIGITS >> s) - 1 for s in range(3)]
    return Array([*(Const(int(top)) for top in tops), Const(0)])[split]


def _shifted(value: Value, shifts: list[int], choice: Signal) -> Value:
    return Array([*(value << shift for shift in shifts), value])[choice]
