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

#: Which cuts are compared for each objective: coarse and fine, for each order (weights stay, inputs stay). More tiles
#: never read less, and with inputs staying they read no more.
_COMPARED = {
    "traffic": ((0, False), (1, False)),
    "energy": ((0, False), (1, False)),
    "latency": ((0, False), (0, True), (1, True)),
    "edp": ((0, False), (1, False), (0, True), (1, True)),
}


@dataclass(frozen=True)
class Tiling:
    """The chosen cut of every row, (P, L) each.

    Attributes:
        tiles: Number of tiles.
        weight_bits, second_bits, input_bits, output_bits: Traffic with the memories outside: weights with biases, the
            second map of a matrix product, inputs, outputs.
        load_weights, load_inputs, store: Clocks that the memories are busy.
        cycles: Clocks of the whole layer without its set-up.
    """

    tiles: Array
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
    fixed = cut.pieces * cut.chunks
    inputs, outputs = size.inputs, size.outputs
    if hw.forwarding:
        whole = hw.output_kb * 8192
        inputs = np.where((rows.from_previous > 0) & (inputs <= whole), 0.0, inputs)
        outputs = np.where((rows.to_next > 0) & (outputs <= whole), 0.0, outputs)
    columns = (cut.pieces - 1) * np.maximum((rows.kw - 1) * rows.dw + 1 - rows.sw, 0.0) * inputs / rows.wi
    inputs = inputs + columns
    setup = hw.tile_cycles + np.where(rows.weights > 0, np.maximum(hw.weight_latency, hw.act_latency), hw.act_latency)
    fill = np.where(rows.mac, hw.pipeline_depth, 0.0) if hw.dataflow == "tree" else np.zeros((1, 1))
    weight_burst, act_burst = 8 * hw.weight_burst_bytes, 8 * hw.act_burst_bytes
    weight_clocks, act_clocks = (
        hw.weight_burst_bytes / hw.weight_bytes_per_cycle,
        hw.act_burst_bytes / hw.act_bytes_per_cycle,
    )

    def traffic(groups: Array, bands: Array, weights_again: Array, inputs_again: Array) -> tuple[Any, Any, Any]:
        again = 1 + weights_again * (bands * cut.pieces - 1)
        read = (inputs + (bands - 1) * size.halo) * (1 + inputs_again * (groups - 1))
        return size.weights * again + size.biases, size.second * again if size.has_second else 0.0, read

    compared = _COMPARED[hw.objective]
    if not hw.double:  # nothing overlaps better in smaller tiles
        compared = tuple(dict.fromkeys((order, False) for order, _ in compared))
    more = _more(cut, traffic, compute, outputs, setup + fill, hw) if any(fine for _, fine in compared) else None
    stacks: list[list[Array]] = [[], [], [], [], []]
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
        parts = (groups, bands, units, cut.weights_again[order], cut.inputs_again[order])
        for stack, part in zip(stacks, parts, strict=True):
            stack.append(part)
    groups, bands, units, weights_again, inputs_again = (_stack(stack) for stack in stacks)

    def loads(groups: Array, bands: Array, units: Array, *again: Array) -> tuple[Any, ...]:
        tiles = groups * bands * units * fixed
        weights, second, read = traffic(groups, bands, *again)
        w = np.ceil(weights / (weight_burst * tiles)) * weight_clocks
        i = np.ceil((read + second) / (act_burst * tiles)) * act_clocks
        o = np.ceil(outputs / (act_burst * tiles)) * act_clocks
        cycles = pipeline_cycles(tiles, w, i, compute / tiles + fill, o, setup, double=hw.double, ports=hw.ports)
        return tiles, weights, second, read, w, i, o, cycles

    _, weights, second, read, *_, cycles = loads(groups, bands, units, weights_again, inputs_again)
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

    found = loads(*(chosen(values) for values in (groups, bands, units, weights_again, inputs_again)))
    tiles, weights, second, read, w, i, o, cycles = found
    shape = cycles.shape
    parts = (tiles, weights, second, read, outputs, w * tiles, i * tiles, o * tiles, cycles)
    return Tiling(*(np.broadcast_to(part, shape) for part in parts))


def _more(cut: Cuts, traffic: Any, compute: Array, outputs: Array, overhead: Array, hw: Any) -> Array:
    """How many times more tiles would be best, if cutting finer cost only the set-up of tiles, (2, P, L).

    With n tiles the layer takes about longest + (total - longest) / n + n * overhead, which is least at the square
    root of (total - longest) / overhead.
    """
    weights, second, read = traffic(cut.groups, cut.bands, cut.weights_again, cut.inputs_again)
    w, i, o = weights / (8 * hw.weight_bytes_per_cycle), (read + second) / (8 * hw.act_bytes_per_cycle), outputs
    o = o / (8 * hw.act_bytes_per_cycle)
    longest = np.maximum(np.maximum(w, i), np.maximum(compute, o))
    rest = w + i + o + compute - longest
    tiles = cut.groups * cut.bands * cut.unit_tiles * (cut.pieces * cut.chunks)
    found: Array = np.maximum(np.ceil(np.sqrt(rest / np.maximum(overhead, 1.0)) / tiles), 1.0)
    return found


def _stack(parts: list[Array]) -> Array:
    return np.stack(np.broadcast_arrays(*parts))
