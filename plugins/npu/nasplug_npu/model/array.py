"""Clocks of the multiplier array, for every kind of array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug_npu.model import ethos, precision, sparsity
from nasplug_npu.model.rows import Array, Rows
from nasplug_npu.model.systolic import systolic_cycles

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


#: Fields that the clocks of every kind of array depend on.
FIELDS = ("macs", "brick_bits", "max_bits", "sync", "window", "weight_port_bits", "input_port_bits")


@dataclass(frozen=True)
class ArrayWork:
    """What the array does, (L, P) each.

    Attributes:
        cycles: Clocks, zero for layers that are not the array's.
        reduction, channels, positions: The shape it takes, in products of the operands' own width.
        skips: 1 where lanes skip zeros, each in its own order, so that they share no operand that they skip; else 0.
    """

    cycles: Array
    reduction: Array
    channels: Array
    positions: Array
    skips: Array

    def pick(self, inverse: Any) -> ArrayWork:
        """Columns of points by index."""
        return ArrayWork(*(np.take(value, inverse, axis=1) if value.shape[1] > 1 else value for value in self.parts()))

    def parts(self) -> tuple[Array, Array, Array, Array, Array]:
        """The arrays."""
        return self.cycles, self.reduction, self.channels, self.positions, self.skips


def fields(hw: Points) -> tuple[str, ...]:
    """Fields of a configuration that the clocks depend on."""
    return (*FIELDS, *ethos.FIELDS[1:]) if hw.dataflow in ethos.DATAFLOWS else FIELDS


def array_work(rows: Rows, hw: Points) -> ArrayWork:
    """Clocks and shapes, by the dataflow of the points."""
    if hw.dataflow == "tree":
        return tree_work(rows, hw)
    lanes = np.ones((len(rows), 1))
    again = np.where(rows.mac, precision.passes(rows, hw), 1.0)
    if hw.dataflow in ethos.DATAFLOWS:
        cycles, block = ethos.ethos_cycles(rows, hw)
        return ArrayWork(cycles * again, lanes, lanes * block, hw.macs / block * lanes, 0 * lanes)
    r, c, _ = hw.fixed_shape
    return ArrayWork(systolic_cycles(rows, hw) * again, lanes * r, lanes * c, lanes, 0 * lanes)


def tree_work(rows: Rows, hw: Points) -> ArrayWork:
    """Operands are broadcast, products are summed in a tree; the best of the shapes that the array can take.

    A shape (r, c, p) works on r input channels, c output channels and p positions per clock, so that a layer takes
    `taps * ceil(Ci/r) * ceil(Co/c) * ceil(M/p)` clocks. A depthwise layer sums nothing over channels: its r lanes are
    idle, unless kernel elements may take them. If the buffers cannot feed a shape, it takes longer by that ratio.
    Zeros are skipped where that is faster, see `nasplug_npu.model.sparsity`.
    """
    r, c, p = _shapes(hw)
    by_reduction, by_channel = precision.fusion(rows, hw)
    on_lanes = rows.mac & (hw.im2col | (rows.depthwise & hw.dw_taps))
    summed = np.where(rows.depthwise, 1.0, rows.reduction)
    elements, steps = np.where(on_lanes, rows.taps * summed, summed), np.where(on_lanes, 1.0, rows.taps)
    r, c = r * by_reduction, c * by_channel
    if not hw.groups_on_lanes:
        c = np.where(rows.depthwise, 1.0, c)
    cycles = np.ceil(elements / r) * np.ceil(rows.filters / c) * np.ceil(rows.positions / p)
    cycles = cycles * (steps * rows.repeats * precision.passes(rows, hw))
    from_inputs, from_weights = _demand(rows, hw, np.minimum(r, elements), np.minimum(c, rows.filters), p)
    once = np.where(p >= 1, cycles, np.inf)
    cycles = once * np.maximum(np.maximum(from_inputs, from_weights), 1.0)
    skips = np.zeros((1, 1, 1))
    density = sparsity.skipped_density(rows, hw)
    if density is not None:
        used = np.minimum(r, elements), np.minimum(c, rows.filters), np.minimum(p, rows.positions)
        skipping = np.ceil(once * sparsity.skipping_share(rows, hw, density, used, (from_inputs, from_weights)))
        skips = (skipping < cycles).astype(np.float64)
        cycles = np.minimum(cycles, skipping)
    structured = sparsity.structured_share(rows, hw)
    if structured is not None:
        cycles = np.ceil(cycles * structured)
    # Of shapes that are equally fast, the one whose operands are read least often.
    best = np.argmin(cycles * (1 + 1e-10 * (1 / r + 1 / c + 1 / p)), axis=0)[None]

    def chosen(values: Array) -> Array:
        full = np.broadcast_to(values, cycles.shape)
        return np.take_along_axis(full, best, axis=0)[0]

    return ArrayWork(np.where(rows.mac, chosen(cycles), 0.0), chosen(r), chosen(c), chosen(p), chosen(skips))


def _demand(rows: Rows, hw: Points, r: Array, c: Array, p: Array) -> tuple[Array, Array]:
    """Clocks that each buffer takes to read the operands of one clock of dense work."""
    from_inputs = r * np.minimum(p, rows.positions) * rows.input_bits
    from_inputs = from_inputs * np.where(rows.depthwise, c, 1.0)  # every channel has its own inputs
    return from_inputs / hw.input_port_bits, r * c * rows.second_bits / hw.weight_port_bits


def _shapes(hw: Points) -> tuple[Array, Array, Array]:
    """All shapes: r and c as (T, 1, 1), and p as (T, 1, P), below one where a point is too small."""
    if hw.named_shapes:
        r, c, p = np.array(hw.named_shapes, dtype=np.float64).T[:, :, None, None]
        return r, c, p
    r, c = _powers(int(np.max(hw.macs)))
    return r, c, hw.macs / (r * c)


@lru_cache(maxsize=64)
def _powers(macs: int) -> tuple[Array, Array]:
    most = int(np.log2(macs))
    pairs = [(2.0**i, 2.0**j) for i in range(most + 1) for j in range(most + 1 - i)]
    table = np.array(pairs)[:, :, None, None]
    return table[:, 0], table[:, 1]
