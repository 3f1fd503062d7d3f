"""How a layer is cut so that its pieces fit the buffers.

A layer is cut along its output channels (N), rows (H), the sum (K), and, only if it must be, columns (W). Three orders
are possible: *weights stay* while all rows pass, so that inputs are read once per group of channels; *inputs stay*
while all channels pass, so that weights are read once per band of rows; *outputs stay* while the sum is formed piece by
piece, and both are read again. A tensor that fits its buffer as a whole is read once in any of them. For each order
the coarsest cut follows directly from the sizes of the buffers.

Groups of a convolution, channels of a depthwise or pooling layer and matrices of a batch are *units* that share
nothing; everything below is about one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nasplug_npu.model.array import ArrayWork
from nasplug_npu.model.precision import stored_bits
from nasplug_npu.model.rows import Array, Rows

#: Bits of a bias.
BIAS = 32
#: Fields of a configuration that cuts depend on, beside those of the array.
FIELDS = ("weight_kb", "input_kb", "output_kb", "acc_bits")
_TINY = 1e-9


@dataclass(frozen=True)
class Sizes:
    """What layers move, in bits, and what they are cut along, (L,) each and per unit where not said otherwise.

    Attributes:
        weights: Of all units, as stored, without biases.
        biases: Of all units.
        second: Second maps of matrix products, all units.
        inputs, outputs: Of all units.
        units: How many there are.
        filters: Output channels.
        heights: Output rows.
        line: Bits of an input row.
        halo: Bits of the input rows that two bands share, all units.
    """

    weights: Array
    biases: Array
    second: Array
    inputs: Array
    outputs: Array
    units: Array
    filters: Array
    heights: Array
    line: Array
    halo: Array

    @cached_property
    def has_second(self) -> bool:
        """Whether any layer multiplies two maps."""
        return bool(self.second.any())


def sizes(rows: Rows, encoding: str) -> Sizes:
    """The sizes of layers whose weights are stored in this way."""
    units = rows.units
    batch = np.where(rows.matmul, 1.0, rows.n)
    inputs = rows.reads * rows.input_bits
    line = inputs / units / (rows.hi * batch)
    filters = np.where(rows.mac, rows.co / np.where(rows.matmul, 1.0, rows.groups), np.maximum(rows.co / units, 1.0))
    shared_rows = np.maximum((rows.kh - 1) * rows.dh + 1 - rows.sh, 0.0)
    return Sizes(
        weights=rows.weights * stored_bits(rows.weight_bits, rows.weight_density, encoding),
        biases=np.where(rows.bias > 0, rows.co * BIAS, 0.0),
        second=rows.second * rows.input_bits,
        inputs=inputs,
        outputs=rows.outputs * rows.output_bits,
        units=units,
        filters=filters,
        heights=rows.ho * batch,
        line=line,
        halo=shared_rows * line * units,
    )


@dataclass(frozen=True)
class Cuts:
    """The coarsest cuts of the orders: weights stay, inputs stay, outputs stay; (3, P, L) where not said otherwise.

    Attributes:
        groups, bands, pieces, chunks: Pieces along channels, rows, columns and the sum.
        unit_tiles: Tiles that all units together make, where no unit needs a cut of its own.
        weights_again, inputs_again: 1 where a tensor is read again for every band or group, else 0.
        most_groups, most_units: The finest cuts that make sense, (P, L).
        fits: Whether any cut fits the buffers, (P, L).
    """

    groups: Array
    bands: Array
    pieces: Array
    chunks: Array
    unit_tiles: Array
    weights_again: Array
    inputs_again: Array
    most_groups: Array
    most_units: Array
    fits: Array

    def pick(self, inverse: Any) -> Cuts:
        """Rows of points by index."""

        def of(value: Array) -> Array:
            return np.take(value, inverse, axis=-2) if value.shape[-2] > 1 else value

        return Cuts(**{name: of(value) for name, value in vars(self).items()})


def cuts(rows: Rows, hw: Any, size: Sizes, work: ArrayWork) -> Cuts:
    """The coarsest cuts that fit the buffers, or half of them with double buffers."""
    half = 8192 / (2 if hw.double else 1)
    weight_room, input_room, output_room = hw.weight_kb * half, hw.input_kb * half, hw.output_kb * half
    weights = (size.weights + size.second) / size.units
    inputs = size.inputs / size.units
    kernel_h, kernel_w = (rows.kh - 1) * rows.dh + 1, (rows.kw - 1) * rows.dw + 1
    # What the array takes at once: output channels of a dense layer, whole units of a depthwise one.
    together = np.where(rows.depthwise, np.minimum(work.channels, size.units), 1.0)
    grain = np.where(rows.mac & ~rows.depthwise, np.minimum(work.channels, size.filters), 1.0)
    window = kernel_h * size.line * together
    filter_bits = weights * together / size.filters

    # Pieces of the sum: as few as there must be, and so many that outputs alone limit a tile.
    most = np.where(rows.mac, np.maximum(np.ceil(rows.reduction / work.reduction), 1.0), rows.taps)
    forced = np.minimum(np.ceil(window / input_room), most)
    forced = np.maximum(forced, np.maximum(np.ceil(grain * filter_bits / weight_room), 1.0))
    finest = np.minimum(np.maximum(np.ceil(weights / weight_room), np.ceil(inputs / input_room)), most)
    finest = np.maximum(np.where(rows.mac, finest, 1.0), forced)
    balance = weights * size.heights / np.maximum(inputs * size.filters, _TINY)

    def plan(order: int, chunks: Array) -> tuple[Array, ...]:
        width = np.where(chunks > 1, hw.acc_bits, rows.output_bits)
        pieces = np.maximum(np.ceil(window / (input_room * chunks)), 1.0)
        pieces = np.maximum(pieces, np.ceil(grain * rows.wo * width * together / output_room))
        shared_columns = np.maximum(kernel_w - rows.sw, 0.0) * (pieces > 1)
        line = np.minimum(size.line / pieces + shared_columns * size.line / rows.wi, size.line) * together
        # The most channels and rows that fit, by each buffer alone, and then by the outputs they make.
        channels = _steps(weight_room * chunks / np.maximum(filter_bits, _TINY), grain, size.filters)
        height = np.floor((input_room * chunks / line - kernel_h) / rows.sh) + 1
        height = np.where(inputs * together <= input_room * chunks, size.heights, height)  # padding takes no room
        height = np.minimum(np.maximum(height, 1.0), size.heights)
        room = output_room / (np.ceil(rows.wo / pieces) * width * together)
        if order == 0:
            channels = np.minimum(channels, _steps(room, grain, size.filters))
            height = np.maximum(np.minimum(np.floor(room / channels), height), 1.0)
        else:
            best = room / grain if order == 1 else np.sqrt(balance * room)
            height = np.maximum(np.minimum(np.floor(np.minimum(best, room / grain)), height), 1.0)
            channels = np.minimum(channels, _steps(room / height, grain, size.filters))
        read = np.minimum(((height - 1) * rows.sh + kernel_h) * line, inputs * together)
        needed = np.maximum(channels * filter_bits / weight_room, read / input_room)
        chunks = np.where(chunks > 1, np.minimum(np.maximum(np.ceil(needed), 1.0), chunks), 1.0)
        return np.ceil(size.filters / channels), np.ceil(size.heights / height), pieces, chunks

    plans = [plan(0, np.where(forced > 1, finest, 1.0)), plan(1, np.where(forced > 1, finest, 1.0)), plan(2, finest)]
    groups, bands, pieces, chunks = (_stack(parts) for parts in zip(*plans, strict=True))

    output_unit = size.outputs / size.units
    per_tile = np.minimum(
        weight_room / np.maximum(weights, _TINY),
        np.minimum(input_room / np.maximum(inputs, _TINY), output_room / np.maximum(output_unit, _TINY)),
    )
    most_units = np.ceil(size.units / together)
    shared = np.ceil(size.units / np.minimum(np.maximum(np.floor(per_tile), together), size.units))
    uncut = groups * bands * pieces * chunks == 1
    # What stays is read once, if its sum is whole; what fits its buffer anyway.
    weights_stay, inputs_stay = np.array([True, False, False]), np.array([False, True, False])
    again_w, again_i = (~(stay[:, None, None] & (chunks == 1)) for stay in (weights_stay, inputs_stay))
    return Cuts(
        groups=groups,
        bands=bands,
        pieces=pieces,
        chunks=chunks,
        unit_tiles=np.where(uncut, shared, most_units),
        weights_again=((weights > weight_room) & again_w).astype(np.float64),
        inputs_again=((inputs > input_room) & again_i).astype(np.float64),
        most_groups=np.ceil(size.filters / grain),
        most_units=most_units,
        fits=(forced <= np.maximum(most * rows.taps, 1.0)) & (pieces <= rows.wo).all(axis=0),
    )


def _steps(room: Array, grain: Array, most: Array) -> Array:
    """The largest multiple of `grain` in `room`, at least one and at most what there is."""
    return np.minimum(np.maximum(np.floor(room / grain), 1.0) * grain, most)


def _stack(parts: Sequence[Array]) -> Array:
    return np.stack(np.broadcast_arrays(*parts))
