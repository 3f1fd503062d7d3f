"""How a layer is cut into tiles: as the model cuts it, where the buffers of the machine allow that."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.parameters import Parameters


@dataclass(frozen=True)
class Cutting:
    """Pieces of a layer.

    Attributes:
        bands: Ranges of output rows.
        groups: Ranges of chunks.
        inputs_stay, weights_stay: Whether all of them fit a half of their buffer, and are loaded once.
        by_group: Whether the groups are the outer loop.
    """

    bands: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, int], ...]
    inputs_stay: bool
    weights_stay: bool
    by_group: bool

    def tiles(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Group and band of each tile, in the order of their computation."""
        if self.by_group:
            yield from ((group, band) for group in self.groups for band in self.bands)
        else:
            yield from ((group, band) for band in self.bands for group in self.groups)


@dataclass(frozen=True)
class Sizes:
    """What a layer takes of the buffers.

    Attributes:
        height: Output rows.
        chunks: Chunks of output channels.
        grain: Chunks that fill whole blocks of outputs.
        row_words: Words of an input row.
        input_height: Input rows.
        stride, kernel: Input rows between two output rows, and that one output row reads.
        out_words: Words of an output row of one grain.
        weight_rows: Rows of weights of a chunk, rounded up.
        record_rows: Rows of records of a chunk.
    """

    height: int
    chunks: int
    grain: int
    row_words: int
    input_height: int
    stride: int
    kernel: int
    out_words: int
    weight_rows: int
    record_rows: int


def cut(size: Sizes, build: Parameters, bands: int, groups: int, name: str) -> Cutting:
    """Cuts a layer into at least so many bands and groups, and more where they would not fit.

    Args:
        size: Size of the layer.
        build: The machine.
        bands: Wanted number of bands.
        groups: Wanted number of groups.
        name: Name of the layer, for messages.

    Raises:
        SpecError: The smallest tile does not fit the buffers.
    """
    inputs, outputs = build.input_words // 2, build.output_words // 2
    weights, records = build.weight_rows // 2, build.record_rows // 2
    inputs_stay = size.input_height * size.row_words <= inputs
    weights_stay = size.chunks * size.weight_rows <= weights and size.chunks * size.record_rows <= records
    most = -(-size.chunks // size.grain)
    groups, bands = max(1, min(groups, most)), max(1, min(bands, size.height))
    while True:
        per_group = -(-most // groups) * size.grain
        rows = -(-size.height // bands)
        read = ((rows - 1) * size.stride + size.kernel) * size.row_words
        few = per_group * max(size.weight_rows / weights, size.record_rows / records) <= 1
        low = rows * size.out_words * per_group // size.grain <= outputs and (inputs_stay or read <= inputs)
        if few and low:
            break
        if not few and groups < most:
            groups += 1
        elif not low and bands < size.height:
            bands += 1
        elif groups < most:
            groups += 1
        else:
            raise SpecError(
                f"{name} does not fit the buffers of the machine",
                where="npu machine",
                why="its tiles are whole rows of positions, with all channels that a sum runs over",
                fix="larger weight_kb, input_kb or output_kb",
            )
    again_weights = 0 if weights_stay else (bands - 1) * size.chunks * size.weight_rows * build.row_words * 4
    again_inputs = 0 if inputs_stay else (groups - 1) * size.input_height * size.row_words * 8
    return Cutting(
        _ranges(size.height, bands, 1),
        _ranges(size.chunks, groups, size.grain),
        inputs_stay,
        weights_stay,
        again_inputs <= again_weights,
    )


def _ranges(total: int, pieces: int, grain: int) -> tuple[tuple[int, int], ...]:
    """As equal as may be, in whole grains."""
    step = math.ceil(math.ceil(total / grain) / pieces) * grain
    return tuple((start, min(start + step, total)) for start in range(0, total, step))
