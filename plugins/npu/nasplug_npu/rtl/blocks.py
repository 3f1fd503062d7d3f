"""The blocks of the unit as Amaranth modules: multiplier array, fused multiplier, zero skipper, post-process lane.

They can be synthesised, for the area model, and simulated clock by clock, for the tests of the cycle counts.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Elaboratable, Module, Mux, Signal, Value, signed, unsigned


class MacArray(Elaboratable):
    """`columns` dot products of `rows` elements per clock: product registers, an adder tree and an accumulator each.

    Activations are broadcast to all columns; every product has its own weight.

    Args:
        rows: Reduction lanes, r.
        columns: Output channel lanes, c.
        weight_bits: Width of a weight, signed.
        input_bits: Width of an activation, signed.
        accumulator_bits: Width of a sum.
    """

    def __init__(
        self, rows: int, columns: int, weight_bits: int = 8, input_bits: int = 8, accumulator_bits: int = 24
    ) -> None:
        self.rows, self.columns = rows, columns
        self.clear = Signal()
        self.valid = Signal()
        self.inputs = [Signal(signed(input_bits), name=f"input_{r}") for r in range(rows)]
        self.weights = [
            [Signal(signed(weight_bits), name=f"weight_{r}_{c}") for c in range(columns)] for r in range(rows)
        ]
        self.sums = [Signal(signed(accumulator_bits), name=f"sum_{c}") for c in range(columns)]
        self._product = signed(weight_bits + input_bits)

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        return [self.clear, self.valid, *self.inputs, *(w for row in self.weights for w in row), *self.sums]

    def elaborate(self, platform: Any) -> Module:
        """Products in the first clock, sums in the second."""
        m = Module()
        clear, valid = Signal(), Signal()
        m.d.sync += [clear.eq(self.clear), valid.eq(self.valid)]
        for c in range(self.columns):
            products = [Signal(self._product, name=f"product_{r}_{c}") for r in range(self.rows)]
            for r in range(self.rows):
                m.d.sync += products[r].eq(self.inputs[r] * self.weights[r][c])
            total = _tree(list[Value](products))
            with m.If(valid):
                m.d.sync += self.sums[c].eq(Mux(clear, 0, self.sums[c]) + total)
        return m


class FusedMultiplier(Elaboratable):
    """One 8x8 multiplier made of sixteen 2-bit bricks that also gives sums of 2, 4, 8 or 16 narrower products.

    With weights of 8, 4 or 2 bits (`weight_split` 0, 1, 2) and activations likewise, the operands hold 1, 2 or 4
    elements; all products of an element of one with an element of the other are added. After Bit Fusion
    (arXiv 1712.01507).
    """

    def __init__(self) -> None:
        self.weight, self.input = Signal(8), Signal(8)
        self.weight_split, self.input_split = Signal(2), Signal(2)
        self.sum = Signal(signed(20))

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        return [self.weight, self.input, self.weight_split, self.input_split, self.sum]

    def elaborate(self, platform: Any) -> Module:
        """Bricks, shifted by their place inside their elements."""
        m = Module()
        bricks: list[Value] = []
        weights, inputs = (_digits(m, value, split) for value, split in self._operands())
        for i in range(4):
            for j in range(4):
                product = Signal(signed(6), name=f"brick_{i}_{j}")
                m.d.comb += product.eq(weights[i] * inputs[j])
                shifted = Signal(signed(19), name=f"shifted_{i}_{j}")
                shifts = [
                    [product << 2 * (i % (4 >> min(ws, 2)) + j % (4 >> min(xs, 2))) for xs in range(4)]
                    for ws in range(4)
                ]
                m.d.comb += shifted.eq(Array(Array(row) for row in shifts)[self.weight_split][self.input_split])
                bricks.append(shifted)
        m.d.sync += self.sum.eq(_tree(bricks))
        return m

    def _operands(self) -> list[tuple[Signal, Signal]]:
        return [(self.weight, self.weight_split), (self.input, self.input_split)]


class ZeroSkipper(Elaboratable):
    """Finds the next element that is not zero in a window of a bitmask: its distance, and the mask behind it.

    Args:
        window: Elements that it looks at.
        registered: Whether it answers in the next clock; else in the same.
    """

    def __init__(self, window: int, *, registered: bool = True) -> None:
        self.window, self.registered = window, registered
        self.mask, self.rest = Signal(window), Signal(window)
        self.distance, self.found = Signal(range(max(window, 2))), Signal()

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        return [self.mask, self.rest, self.distance, self.found]

    def elaborate(self, platform: Any) -> Module:
        """A priority encoder."""
        m = Module()
        distance = Signal(range(max(self.window, 2)))
        for position in reversed(range(self.window)):
            with m.If(self.mask[position]):
                m.d.comb += distance.eq(position)
        domain = m.d.sync if self.registered else m.d.comb
        domain += [
            self.distance.eq(distance),
            self.found.eq(self.mask.any()),
            self.rest.eq(self.mask & (self.mask - 1)),
        ]
        return m


class PostProcessLane(Elaboratable):
    """One lane of the post-process unit: bias, multiplier and shift of the requantisation, clamp at a lower bound."""

    def __init__(self, accumulator_bits: int = 32, scale_bits: int = 16, output_bits: int = 8) -> None:
        self.sum, self.bias = Signal(signed(accumulator_bits)), Signal(signed(accumulator_bits))
        self.scale, self.shift = Signal(unsigned(scale_bits)), Signal(5)
        self.low = Signal(signed(output_bits))
        self.output = Signal(signed(output_bits))
        self._bits = (accumulator_bits, scale_bits, output_bits)

    def ports(self) -> list[Value]:
        """Everything that crosses the border."""
        return [self.sum, self.bias, self.scale, self.shift, self.low, self.output]

    def elaborate(self, platform: Any) -> Module:
        """Three stages: add, multiply, shift and clamp."""
        m = Module()
        accumulator_bits, scale_bits, output_bits = self._bits
        biased = Signal(signed(accumulator_bits))
        scaled = Signal(signed(accumulator_bits + scale_bits))
        m.d.sync += [biased.eq(self.sum + self.bias), scaled.eq(biased * self.scale)]
        shifted = Signal(signed(accumulator_bits + scale_bits))
        m.d.comb += shifted.eq(scaled >> self.shift)
        high = 2 ** (output_bits - 1) - 1
        m.d.sync += self.output.eq(Mux(shifted > high, high, Mux(shifted < self.low, self.low, shifted)))
        return m


def _tree(values: list[Value]) -> Value:
    """The sum, in a tree of adders of two."""
    while len(values) > 1:
        pairs = [values[i] + values[i + 1] for i in range(0, len(values) - 1, 2)]
        values = pairs + values[len(values) - len(values) % 2 :]
    return values[0]


def _digits(m: Module, value: Signal, split: Signal) -> list[Signal]:
    """Four digits of 2 bits, extended to 3: the highest of every element carries the sign."""
    digits = []
    for position in range(4):
        signs = Array([position == 3, position % 2 == 1, True, True])
        digit = Signal(signed(3), name=f"digit_{value.name}_{position}")
        low, high = value[2 * position], value[2 * position + 1]
        m.d.comb += digit.eq(Cat(low, high, high & Array(int(sign) for sign in signs)[split]).as_signed())
        digits.append(digit)
    return digits
