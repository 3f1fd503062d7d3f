"""How a layer is cut so that its pieces fit the buffers.

A layer is cut along its output channels (N), rows (H), and, only if it must be, columns (W) and the sum (K). Two
orders are possible: *weights stay* while all rows pass, so that inputs are read once per group of channels; or *inputs
stay* while all channels pass, so that weights are read once per band of rows. A tensor that fits its buffer as a whole
is read once in either. For each order the coarsest cut follows directly from the sizes of the buffers.

Groups of a convolution, channels of a depthwise or pooling layer and matrices of a batch are *units* that share
nothing; everything below is about one of them.
"""

from __future__ import annotations

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
    """The coarsest cuts, of both orders where there are two: weights stay, inputs stay; (2, P, L) or (P, L).

    Attributes:
        groups, bands: Pieces along channels and rows, (2, P, L).
        unit_tiles: Tiles that all units together make, where no unit needs a cut of its own, (2, P, L).
        most_groups, most_units: The finest cuts that make sense.
        chunks: Pieces of the sum.
        pieces: Pieces of the width.
        weights_again, inputs_again: 1 where a tensor is read again for every band or group, else 0, (2, P, L).
        fits: Whether any cut fits the buffers.
    """

    groups: Array
    bands: Array
    unit_tiles: Array
    most_groups: Array
    most_units: Array
    chunks: Array
    pieces: Array
    weights_again: Array
    inputs_again: Array
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

    # Cuts that nothing else can replace: of the sum, then of the width.
    window = kernel_h * size.line * together
    most_chunks = np.where(rows.mac, np.maximum(np.ceil(rows.reduction / work.reduction), 1.0), rows.taps)
    of_weights = np.ceil(grain / size.filters * weights * together / weight_room)
    chunks = np.maximum(np.maximum(of_weights, 1.0), np.minimum(np.ceil(window / input_room), most_chunks))
    width = np.where(chunks > 1, hw.acc_bits, rows.output_bits)
    pieces = np.maximum(np.ceil(window / (input_room * chunks)), 1.0)
    pieces = np.maximum(pieces, np.ceil(grain * rows.wo * width * together / output_room))
    fits = (chunks <= np.maximum(most_chunks * rows.taps, 1.0)) & (pieces <= rows.wo)
    shared_columns = np.maximum(kernel_w - rows.sw, 0.0) * (pieces > 1)
    line = np.minimum(size.line / pieces + shared_columns * size.line / rows.wi, size.line)

    # The most channels and rows that fit, by each buffer alone, then by the outputs: channels first or rows first.
    channels = _steps(weight_room * chunks * size.filters / np.maximum(weights * together, _TINY), grain, size.filters)
    rows_in = np.floor((input_room * chunks / (line * together) - kernel_h) / rows.sh) + 1
    rows_in = np.minimum(np.maximum(rows_in, 1.0), size.heights)
    room = output_room / (np.ceil(rows.wo / pieces) * width * together)
    channels_a = np.minimum(channels, _steps(room, grain, size.filters))
    rows_a = np.maximum(np.minimum(np.floor(room / channels_a), rows_in), 1.0)
    rows_b = np.maximum(np.minimum(np.floor(room / grain), rows_in), 1.0)
    channels_b = np.minimum(channels, _steps(room / rows_b, grain, size.filters))
    groups = np.ceil(size.filters / _both(channels_a, channels_b))
    bands = np.ceil(size.heights / _both(rows_a, rows_b))

    output_unit = size.outputs / size.units
    per_tile = np.minimum(
        weight_room / np.maximum(weights, _TINY),
        np.minimum(input_room / np.maximum(inputs, _TINY), output_room / np.maximum(output_unit, _TINY)),
    )
    most_units = np.ceil(size.units / together)
    shared = np.ceil(size.units / np.minimum(np.maximum(np.floor(per_tile), together), size.units))
    uncut = groups * bands * (pieces * chunks) == 1
    streamed = _both(np.broadcast_to(chunks > 1, chunks.shape), np.ones(chunks.shape, dtype=bool))
    return Cuts(
        groups=groups,
        bands=bands,
        unit_tiles=np.where(uncut, shared, most_units),
        most_groups=np.ceil(size.filters / grain),
        most_units=most_units,
        chunks=chunks,
        pieces=pieces,
        weights_again=((weights > weight_room) & streamed).astype(np.float64),
        inputs_again=((inputs > input_room) & streamed[::-1]).astype(np.float64),
        fits=fits,
    )


def _steps(room: Array, grain: Array, most: Array) -> Array:
    """The largest multiple of `grain` in `room`, at least one and at most what there is."""
    return np.minimum(np.maximum(np.floor(room / grain), 1.0) * grain, most)


def _both(one: Array, other: Array) -> Array:
    return np.stack(np.broadcast_arrays(one, other))
