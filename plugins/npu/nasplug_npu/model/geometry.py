"""How a layer is cut so that its pieces fit the buffers.

A layer is cut along its output channels (N), rows (H), the sum (K), and, only if it must be, columns (W). Three orders
are possible: *weights stay* while all rows pass, so that inputs are read once per group of channels; *inputs stay*
while all channels pass, so that weights are read once per band of rows; *outputs stay* while the sum is formed piece by
piece, and both are read again. A tensor that fits its buffer as a whole is read once in any of them. For each order
the coarsest cut follows directly from the sizes of the buffers: a few heights of the bands are weighed against each
other, since higher bands share fewer rows but need more groups of channels where outputs limit a tile.

Groups of a convolution, channels of a depthwise or pooling layer and matrices of a batch are *units* that share
nothing; everything below is about one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug_npu.model.array import ArrayWork
from nasplug_npu.model.precision import stored_bits
from nasplug_npu.model.rows import Array, Mask, Rows
from nasplug_npu.model.select import select

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


#: Bits of a word of what comes with the weights of an output channel: a bias is one word.
BIAS = 32
#: Fields of a configuration that cuts depend on, beside those of the array.
FIELDS = ("weight_kb", "input_kb", "output_kb", "acc_bits")
_TINY = 1e-9


@dataclass(frozen=True)
class Sizes:
    """What layers move, in bits, and what they are cut along, (L, 1) each and per unit where not said otherwise.

    Attributes:
        weights: Weights of all units, as stored, without biases.
        biases: Biases of all units, or what else comes with the weights of every output channel.
        second: Second maps of matrix products, all units.
        inputs, outputs: Elements of all units.
        units: Number of units.
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


def sizes(rows: Rows, encoding: str, block: int = 1) -> Sizes:
    """The sizes of layers.

    Args:
        rows: The layers.
        encoding: Encoding of stored weights.
        block: Channels that are stored together: maps, and weights along their inputs, are filled up to multiples.
    """
    rows = rows.needed
    units = rows.units
    batch = np.where(rows.matmul, 1.0, rows.n)
    inputs = rows.reads * rows.input_bits * _filled(rows.ci, block)
    line = inputs / units / (rows.hi * batch)
    filters = np.where(rows.mac, rows.co / np.where(rows.matmul, 1.0, rows.groups), np.maximum(rows.co / units, 1.0))
    shared_rows = np.maximum((rows.kh - 1) * rows.dh + 1 - rows.sh, 0.0)
    return Sizes(
        weights=rows.weights
        * stored_bits(rows.weight_bits, rows.weight_density, encoding)
        * np.where(rows.depthwise | (rows.groups > 1), 1.0, _filled(rows.ci, block)),
        biases=rows.bias * rows.co * BIAS,
        second=rows.second * rows.input_bits,
        inputs=inputs,
        outputs=rows.outputs * rows.output_bits * _filled(rows.co, block),
        units=units,
        filters=filters,
        heights=rows.ho * batch,
        line=line,
        halo=shared_rows * line * units,
    )


def block_of(hw: Points) -> int:
    """Channels that a unit stores together; Vela, which the Ethos units restate, counts its traffic without them."""
    return int(hw.align_channels) if hw.dataflow == "tree" else 1


def _filled(channels: Array, block: int) -> Array | float:
    """What filling up with channels multiplies a map by."""
    return 1.0 if block == 1 else np.ceil(channels / block) * block / channels


@dataclass(frozen=True)
class Cut:
    """How often a layer is cut along each side, (L, P) each.

    Attributes:
        groups, bands, chunks: Pieces along channels, rows and the sum.
        pieces: Pieces along columns; None where no layer needs several.
        units: Tiles that all units together make, where no unit needs a cut of its own.
        weights_again, inputs_again: 1 where a tensor is read again for every band or group, else 0.
    """

    groups: Array
    bands: Array
    pieces: Array | None
    chunks: Array
    units: Array
    weights_again: Array
    inputs_again: Array

    @cached_property
    def tiles(self) -> Array:
        """All tiles."""
        found: Array = self.groups * self.bands * self.units * self.chunks
        return found if self.pieces is None else found * self.pieces


@dataclass(frozen=True)
class Cuts:
    """The coarsest cuts.

    Attributes:
        orders: Loop orders: weights stay, inputs stay, or outputs stay.
        halo: Bits of the input rows that are read twice for every further band, all units, (L, P); none where all
            inputs fit their buffer.
        most_groups, most_units: The finest cuts that make sense, (L, P).
        fits: Whether any cut fits the buffers, (L, P).
    """

    orders: tuple[Cut, Cut, Cut]
    halo: Array
    most_groups: Array
    most_units: Array
    fits: Array

    def pick(self, inverse: Any) -> Cuts:
        """Columns of points by index."""

        def of(value: Array) -> Array:
            return np.take(value, inverse, axis=1) if value.shape[1] > 1 else value

        def every(cut: Cut) -> Cut:
            rest = {field.name: of(getattr(cut, field.name)) for field in fields(cut) if field.name != "pieces"}
            return Cut(pieces=None if cut.pieces is None else of(cut.pieces), **rest)

        first, second, third = (every(cut) for cut in self.orders)
        rest = {name: of(getattr(self, name)) for name in ("halo", "most_groups", "most_units", "fits")}
        return Cuts((first, second, third), **rest)


def cuts(rows: Rows, hw: Points, size: Sizes, work: ArrayWork) -> Cuts:
    """The coarsest cuts that fit the buffers, or half of them with double buffers."""
    plan = Plan(rows, hw, size, work)
    first, second, third = plan.weights_stay(), plan.inputs_stay(), plan.outputs_stay()
    # Where the sum must be cut, nothing stays but the outputs.
    orders = [plan.cut(order, plan.either(cut, third)) for order, cut in enumerate((first, second))]
    pieces = np.where(plan.must, plan.split.pieces, plan.whole.pieces)
    fits = (plan.forced <= np.maximum(plan.most * rows.taps, 1.0)) & (pieces <= rows.wo)
    most_groups = np.ceil(size.filters / plan.grain)
    return Cuts((*orders, plan.cut(2, third)), plan.halo, most_groups, plan.most_units, fits)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Limits:
    """What fits the buffers at once, if the sum is cut into so many chunks.

    Attributes:
        chunks: Number of chunks of the sum.
        pieces: Along columns, as few as there must be.
        line: Bits of an input row of a piece.
        channels: The most output channels whose weights fit.
        height: The most output rows whose inputs fit.
        room: Channels times rows whose outputs fit.
        highest: The most rows with the fewest channels.
    """

    chunks: Array
    pieces: Array
    line: Array
    channels: Array
    height: Array
    room: Array
    highest: Array


class Plan:
    """The sizes of layers beside those of buffers, per unit."""

    def __init__(self, rows: Rows, hw: Points, size: Sizes, work: ArrayWork) -> None:
        rows = rows.needed
        self.rows, self.hw, self.size = rows, hw, size
        half = 8192 / (2 if hw.double else 1)
        self.weight_room, self.input_room, self.output_room = (
            getattr(hw, f"{kind}_kb") * half for kind in ("weight", "input", "output")
        )
        self.weights = (size.weights + size.second) / size.units
        self.inputs = size.inputs / size.units
        # What the array takes at once: output channels of a dense layer, whole units of a depthwise one.
        block = block_of(hw)
        alone = rows.depthwise if block == 1 else rows.depthwise | ~rows.mac
        channels = np.ceil(np.maximum(block / work.channels, 1.0)) * work.channels  # tiles write whole blocks
        self.together = np.where(alone, np.minimum(channels, size.units), 1.0)
        self.grain = np.where(rows.mac & ~rows.depthwise, np.minimum(channels, size.filters), 1.0)
        self.kernel = (rows.kh - 1) * rows.dh + 1
        self.kernel_w = (rows.kw - 1) * rows.dw + 1
        self.overlap = np.maximum(self.kernel_w - rows.sw, 0.0)
        self.filter_bits = self.weights * self.together / size.filters
        self.window = self.kernel * size.line * self.together
        self.all_inputs = self.inputs * self.together
        self.weights_fit = self.weights <= self.weight_room
        self.inputs_fit = self.inputs <= self.input_room
        self.halo = size.halo * ~self.inputs_fit
        self.unit_halo = self.halo / size.units
        # The sum is cut so often that outputs alone limit a tile; cutting kernels does not make windows smaller.
        self.most = np.where(rows.mac, np.maximum(np.ceil(rows.reduction / work.reduction), 1.0), rows.taps)
        self.forced = np.ceil(self.grain * self.filter_bits / self.weight_room)
        inputs = np.minimum(np.ceil(self.inputs / self.input_room), self.most)
        weights = np.minimum(np.ceil(self.weights / self.weight_room), self.most)
        finest = np.where(rows.mac, np.maximum(inputs, weights), 1.0)
        self.whole = self._limits(np.ones((1, 1)))
        self.split = self._limits(np.maximum(np.maximum(finest, self.forced), 1.0))
        # It must be cut where the operands of one output do not fit.
        narrow = self.input_room * rows.wi < self.kernel_w * self.window
        self.must = (self.forced > 1) | (narrow & (self.most > 1))

    @cached_property
    def most_units(self) -> Array:
        """Units that must be computed one after the other."""
        return np.ceil(self.size.units / self.together)

    @cached_property
    def shared_units(self) -> Array:
        """Tiles that all units make where whole ones fit the buffers."""
        outputs = self.size.outputs / self.size.units
        parts = ((self.weight_room, self.weights), (self.input_room, self.inputs), (self.output_room, outputs))
        first, second, third = (room / np.maximum(bits, _TINY) for room, bits in parts)
        per_tile = np.floor(np.minimum(first, np.minimum(second, third)))
        return np.ceil(self.size.units / np.minimum(np.maximum(per_tile, self.together), self.size.units))

    def _limits(self, chunks: Array) -> Limits:
        rows, size, hw = self.rows, self.size, self.hw
        width = hw.acc_bits + (rows.output_bits - hw.acc_bits) * (chunks == 1)
        inputs = self.input_room * np.minimum(chunks, self.most)
        columns = rows.wi * np.minimum(inputs / self.window, 1.0)  # of as many windows as fit
        shared = self.overlap * (columns < rows.wi)
        pieces = np.ceil(rows.wi / np.maximum(columns - shared, _TINY))
        pieces = np.minimum(pieces, np.maximum(np.ceil(rows.wi / columns), rows.wo))
        pieces = np.maximum(pieces, np.ceil(self.grain * rows.wo * width * self.together / self.output_room))
        line = np.minimum(1 / pieces + self.overlap / rows.wi * (pieces > 1), 1.0) * size.line * self.together
        channels = _steps(self.weight_room * chunks / np.maximum(self.filter_bits, _TINY), self.grain, size.filters)
        height = np.floor((inputs / line - self.kernel) / rows.sh) + 1
        height = np.maximum(height, size.heights * (self.all_inputs <= inputs))  # padding takes no room
        height = np.minimum(np.maximum(height, 1.0), size.heights)
        room = self.output_room / (np.ceil(rows.wo / pieces) * width * self.together)
        highest = np.maximum(np.minimum(np.floor(room / self.grain), height), 1.0)
        return Limits(chunks, pieces, line, channels, height, room, highest)

    def weights_stay(self) -> tuple[Array, ...]:
        """Inputs are read once for every group of channels, so that there should be few groups, of high bands."""
        lowest = self._lowest(self.whole)
        return self._least(self.whole, (lowest, lowest + 1), None, ~self.inputs_fit)

    def inputs_stay(self) -> tuple[Array, ...]:
        """Weights are read once for every band, so that bands should be high."""
        return self._at(self.whole, self.whole.highest)

    def outputs_stay(self) -> tuple[Array, ...]:
        """Both are read again, if they do not fit, so that tiles should be as square as their sizes are alike."""
        weights = self.weights * ~self.weights_fit * self.size.heights
        balance = weights / np.maximum(self.inputs * ~self.inputs_fit * self.size.filters, _TINY)
        square = np.floor(np.sqrt(balance * self.split.room))
        lowest = self._lowest(self.split)
        return self._least(self.split, (lowest, lowest + 1, square, square + 1), ~self.weights_fit, ~self.inputs_fit)

    def either(self, whole: tuple[Array, ...], split: tuple[Array, ...]) -> tuple[Array, ...]:
        """The second where the sum must be cut."""
        return select(self.must, split, whole) if self.must.any() else whole

    def cut(self, order: int, parts: tuple[Array, ...]) -> Cut:
        """What stays is read once, if its sum is whole; what fits its buffer anyway."""
        groups, bands, pieces, chunks = parts
        uncut = groups * bands * pieces * chunks == 1
        weights, inputs = ~self.weights_fit, ~self.inputs_fit
        return Cut(
            groups=groups,
            bands=bands,
            pieces=None if (pieces == 1).all() else pieces,
            chunks=chunks,
            units=self.most_units + (self.shared_units - self.most_units) * uncut,
            weights_again=(weights & (chunks > 1) if order == 0 else weights).astype(np.float64),
            inputs_again=(inputs & (chunks > 1) if order == 1 else inputs).astype(np.float64),
        )

    def _lowest(self, limits: Limits) -> Array:
        """Height of the bands if there are as few groups as can be."""
        channels = np.minimum(limits.channels, _steps(limits.room, self.grain, self.size.filters))
        return np.floor(limits.room / self._equal(np.ceil(self.size.filters / channels)))

    def _equal(self, groups: Array) -> Array:
        """Channels of groups that are as equal as the array lets them be."""
        return np.ceil(self.size.filters / (groups * self.grain)) * self.grain

    def _at(self, limits: Limits, wanted: Array) -> tuple[Array, ...]:
        """Groups, bands, pieces and chunks for bands of about this height, none larger than it must be."""
        wanted = np.minimum(np.maximum(wanted, 1.0), limits.highest)
        wanted = np.ceil(self.size.heights / np.ceil(self.size.heights / wanted))
        channels = np.minimum(limits.channels, _steps(limits.room / wanted, self.grain, self.size.filters))
        groups = np.ceil(self.size.filters / channels)
        channels = self._equal(groups)
        height = np.maximum(np.minimum(np.floor(limits.room / channels), limits.height), 1.0)
        bands = np.ceil(self.size.heights / height)
        if limits is self.whole:
            return groups, bands, limits.pieces, limits.chunks
        height = np.ceil(self.size.heights / bands)
        read = np.minimum(((height - 1) * self.rows.sh + self.kernel) * limits.line, self.all_inputs)
        needed = np.ceil(np.maximum(channels * self.filter_bits / self.weight_room, read / self.input_room))
        return groups, bands, limits.pieces, np.minimum(np.maximum(needed, 1.0), limits.chunks)

    def _least(
        self, limits: Limits, heights: Sequence[Array], weights_again: Mask | None, inputs_again: Mask
    ) -> tuple[Array, ...]:
        """Of several heights the one with the least traffic."""
        best: tuple[Array, ...] = ()
        least = np.empty(0)
        for wanted in heights:
            found = self._at(limits, wanted)
            groups, bands = found[:2]
            read = (self.inputs + (bands - 1) * self.unit_halo) * (1 + inputs_again * (groups - 1))
            if weights_again is not None:
                read = read + self.weights * (1 + weights_again * (bands - 1))
            if best:
                found = select(read < least, found, best)
                read = np.minimum(read, least)
            best, least = found, read
        return best


def _steps(room: Array, grain: Array, most: Array) -> Array:
    """The largest multiple of `grain` in `room`, at least one and at most what there is."""
    return np.minimum(np.maximum(np.floor(room / grain), 1.0) * grain, most)
