"""Which cut of a layer is best, what traffic it makes, and how long it takes.

Beside the coarsest cut of each order there is a finer one, with more and smaller tiles, so that loading and computing
overlap better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasplug_npu.model.geometry import Cuts, Sizes
from nasplug_npu.model.pipeline import pipeline_cycles
from nasplug_npu.model.rows import Array, Rows

#: Which cuts are compared for each objective: coarse and fine, for each order (weights, inputs, outputs stay). More
#: tiles never read less, and with inputs staying they read no more; cutting the sum makes tiles enough.
_COMPARED = {
    "traffic": ((0, False), (1, False), (2, False)),
    "energy": ((0, False), (1, False), (2, False)),
    "latency": ((0, False), (0, True), (1, True), (2, False)),
    "edp": ((0, False), (1, False), (0, True), (1, True), (2, False)),
}


@dataclass(frozen=True)
class Tiling:
    """The chosen cut of every row, (P, L) each.

    Attributes:
        tiles: Number of tiles.
        chunks: Pieces of the sum; with several, partial sums stay in the output buffer.
        weight_bits, second_bits, input_bits, output_bits: Traffic with the memories outside: weights with biases, the
            second map of a matrix product, inputs, outputs.
        load_weights, load_inputs, store: Clocks that the memories are busy.
        cycles: Clocks of the whole layer without its set-up.
    """

    tiles: Array
    chunks: Array
    weight_bits: Array
    second_bits: Array
    input_bits: Array
    output_bits: Array
    load_weights: Array
    load_inputs: Array
    store: Array
    cycles: Array


def tile(rows: Rows, hw: Any, size: Sizes, cut: Cuts, compute: Array) -> Tiling:
    """The best cut of every row by the objective of the points.

    Args:
        rows: The layers.
        hw: The points.
        size: Of the layers.
        cut: The coarsest cuts.
        compute: Clocks that the array and the post-process unit need for all tiles together.
    """
    inputs, outputs = size.inputs, size.outputs
    if hw.forwarding:
        whole = hw.output_kb * 8192
        inputs = np.where((rows.from_previous > 0) & (inputs <= whole), 0.0, inputs)
        outputs = np.where((rows.to_next > 0) & (outputs <= whole), 0.0, outputs)
    columns = np.maximum((rows.kw - 1) * rows.dw + 1 - rows.sw, 0.0) * inputs / rows.wi  # shared by two pieces
    setup = hw.tile_cycles + np.where(rows.weights > 0, np.maximum(hw.weight_latency, hw.act_latency), hw.act_latency)
    fill = np.where(rows.mac, hw.pipeline_depth, 0.0) if hw.dataflow == "tree" else np.zeros((1, 1))
    weight_burst, act_burst = 8 * hw.weight_burst_bytes, 8 * hw.act_burst_bytes
    weight_clocks, act_clocks = (
        hw.weight_burst_bytes / hw.weight_bytes_per_cycle,
        hw.act_burst_bytes / hw.act_bytes_per_cycle,
    )

    one_piece = bool((cut.pieces == 1).all())  # as nearly always

    def traffic(
        groups: Array, bands: Array, pieces: Array, weights_again: Array, inputs_again: Array
    ) -> tuple[Any, Any, Any]:
        again = 1 + weights_again * ((bands if one_piece else bands * pieces) - 1)
        read = inputs + (bands - 1) * size.halo
        if not one_piece:
            read = read + (pieces - 1) * columns
        read = read * (1 + inputs_again * (groups - 1))
        return size.weights * again + size.biases, size.second * again if size.has_second else 0.0, read

    compared = _COMPARED[hw.objective]
    if not hw.double:  # nothing overlaps better in smaller tiles
        compared = tuple(dict.fromkeys((order, False) for order, _ in compared))
    more = _more(cut, traffic, compute, outputs, setup + fill, hw) if any(fine for _, fine in compared) else None
    stacks: list[list[Array]] = [[] for _ in range(7)]
    for order, fine in compared:
        groups, bands, units = cut.groups[order], cut.bands[order], cut.unit_tiles[order]
        if fine:
            assert more is not None
            finer = np.minimum(units * more[order], cut.most_units)
            rest = np.ceil(more[order] * units / finer)
            if order:
                groups = np.minimum(groups * rest, cut.most_groups)
            else:
                bands = np.minimum(bands * rest, size.heights)
            units = finer
        fixed = (cut.pieces[order], cut.chunks[order], cut.weights_again[order], cut.inputs_again[order])
        parts = (groups, bands, units, *fixed)
        for stack, part in zip(stacks, parts, strict=True):
            stack.append(part)
    compared_cuts = [np.stack(np.broadcast_arrays(*stack)) for stack in stacks]

    def loads(
        groups: Array, bands: Array, units: Array, pieces: Array, chunks: Array, *again: Array
    ) -> tuple[Any, ...]:
        tiles = groups * bands * units * chunks
        if not one_piece:
            tiles = tiles * pieces
        weights, second, read = traffic(groups, bands, pieces, *again)
        w = np.ceil(weights / (weight_burst * tiles)) * weight_clocks
        i = np.ceil((read + second) / (act_burst * tiles)) * act_clocks
        o = np.ceil(outputs / (act_burst * tiles)) * act_clocks
        cycles = pipeline_cycles(tiles, w, i, compute / tiles + fill, o, setup, double=hw.double, ports=hw.ports)
        return tiles, weights, second, read, w, i, o, cycles

    _, weights, second, read, *_, cycles = loads(*compared_cuts)
    external = weights * hw.weight_pj_per_bit + (second + read) * hw.act_pj_per_bit
    score = {
        "latency": lambda: cycles,
        "traffic": lambda: weights + second + read,
        "energy": lambda: external,
        "edp": lambda: cycles * (external + outputs * hw.act_pj_per_bit),
    }[hw.objective]()
    best = np.argmin(score, axis=0)
    flat = (best * best.size + np.arange(best.size).reshape(best.shape)).ravel()

    def chosen(values: Array) -> Array:
        whole = np.broadcast_to(values, score.shape)
        return np.take(whole.reshape(-1), flat).reshape(best.shape)

    best_cut = [chosen(values) for values in compared_cuts]
    tiles, weights, second, read, w, i, o, cycles = loads(*best_cut)
    shape = cycles.shape
    found = (tiles, best_cut[4], weights, second, read, outputs, w * tiles, i * tiles, o * tiles, cycles)
    return Tiling(*(np.broadcast_to(part, shape) for part in found))


def _more(cut: Cuts, traffic: Any, compute: Array, outputs: Array, overhead: Array, hw: Any) -> Array:
    """How many times more tiles would be best, if cutting finer cost only the set-up of tiles, (2, P, L).

    With n tiles the layer takes about longest + (total - longest) / n + n * overhead, which is least at the square
    root of (total - longest) / overhead.
    """
    two = slice(0, 2)  # the third order has tiles enough
    groups, bands, pieces, units = cut.groups[two], cut.bands[two], cut.pieces[two], cut.unit_tiles[two]
    weights, second, read = traffic(groups, bands, pieces, cut.weights_again[two], cut.inputs_again[two])
    w, i, o = weights / (8 * hw.weight_bytes_per_cycle), (read + second) / (8 * hw.act_bytes_per_cycle), outputs
    o = o / (8 * hw.act_bytes_per_cycle)
    longest = np.maximum(np.maximum(w, i), np.maximum(compute, o))
    rest = w + i + o + compute - longest
    tiles = groups * bands * units * pieces * cut.chunks[two]
    found: Array = np.maximum(np.ceil(np.sqrt(rest / np.maximum(overhead, 1.0)) / tiles), 1.0)
    return found
