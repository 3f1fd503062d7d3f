"""Which cut of a layer is best, what traffic it makes, and how long it takes.

Beside the coarsest cut of each order there is a finer one, with more and smaller tiles, so that loading and computing
overlap better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nasplug_npu.model import ethos
from nasplug_npu.model.geometry import Cut, Cuts, Sizes
from nasplug_npu.model.pipeline import Loads, pipeline_cycles, uneven_cycles
from nasplug_npu.model.rows import Array, Rows
from nasplug_npu.model.select import select

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


COARSE, FINE, BOTH = (False,), (True,), (False, True)
#: What reading all operands once more must save of the clocks for the objective `latency`. Some cuts save a few clocks
#: of the first load by reading weights again for every band.
TRAFFIC_SHARE = 0.001
#: Which cuts are compared for each objective: coarse and fine, for each order (weights, inputs, outputs stay). More
#: tiles never read less, and with inputs staying they read no more; cutting the sum makes tiles enough.
_COMPARED = {
    "traffic": ((0, COARSE), (1, COARSE), (2, COARSE)),
    "energy": ((0, COARSE), (1, COARSE), (2, COARSE)),
    "latency": ((0, BOTH), (1, FINE), (2, COARSE)),
    "edp": ((0, BOTH), (1, BOTH), (2, COARSE)),
}


@dataclass(frozen=True)
class Tiling:
    """The chosen cut of every row, (L, P) each.

    Attributes:
        tiles: Number of tiles.
        bands, groups: Pieces along output positions, and along output channels of a unit.
        chunks: Pieces of the sum; with several, partial sums stay in the output buffer.
        weight_bits, second_bits, input_bits, output_bits: Traffic with the memories outside: weights with biases, the
            second map of a matrix product, inputs, outputs.
        cycles: Clocks of the whole layer without its set-up.
    """

    tiles: Array
    bands: Array
    groups: Array
    chunks: Array
    weight_bits: Array
    second_bits: Array
    input_bits: Array
    output_bits: Array
    cycles: Array


def tile(rows: Rows, hw: Points, size: Sizes, cuts: Cuts, compute: Array) -> Tiling:
    """The best cut of every row by the objective of the points.

    Args:
        rows: The layers.
        hw: The points.
        size: Size of the layers.
        cuts: The coarsest cuts.
        compute: Clocks that the array and the post-process unit need for all tiles together.
    """
    work = Work(rows, hw, size, cuts, compute)
    best: tuple[Array, ...] = ()
    lowest = np.empty(0)
    for order, kinds in _COMPARED[hw.objective]:
        coarse = cuts.orders[order]
        moved = work.traffic(coarse)
        for fine in kinds if hw.double else COARSE:  # with one buffer nothing overlaps better in smaller tiles
            cut = work.finer(coarse, order, moved) if fine else coarse
            found = work.outcome(cut, work.traffic(cut) if fine else moved)
            score = work.score(found)
            if best:
                found = select(score < lowest, found, best)
                score = np.minimum(score, lowest)
            best, lowest = found, score
    tiles, bands, groups, chunks, weights, second, read, cycles = best
    return Tiling(tiles, bands, groups, chunks, weights, second, read, work.outputs, cycles)


def memory_clocks(tiling: Tiling, hw: Points) -> tuple[Array, Array, Array]:
    """Clocks that the memories are busy with loading weights, loading maps and storing, over all tiles."""
    return tuple(
        part * tiling.tiles
        for part in _transfers(
            hw, tiling.tiles, tiling.weight_bits, tiling.input_bits + tiling.second_bits, tiling.output_bits
        )
    )  # type: ignore[return-value]


def _transfers(hw: Points, tiles: Array, weights: Array, maps: Array, outputs: Array) -> tuple[Array, Array, Array]:
    """Clocks of one tile's transfers, in whole bursts."""
    weight_burst, act_burst = hw.weight_burst_bytes, hw.act_burst_bytes
    of_maps = 8 * act_burst * tiles
    found = weights / (8 * weight_burst * tiles), maps / of_maps, outputs / of_maps
    for bursts in found:
        np.ceil(bursts, out=bursts)
    of_weights, of_map = weight_burst / hw.weight_bytes_per_cycle, act_burst / hw.act_bytes_per_cycle
    return found[0] * of_weights, found[1] * of_map, found[2] * of_map


class Work:
    """What all cuts of the layers have in common."""

    def __init__(self, rows: Rows, hw: Points, size: Sizes, cuts: Cuts, compute: Array) -> None:
        rows = rows.needed
        self.hw, self.rows, self.size, self.cuts, self.compute = hw, rows, size, cuts, compute
        self.inputs, self.outputs = size.inputs, size.outputs
        if hw.forwarding:
            whole = hw.output_kb * 8192
            self.inputs = np.where((rows.from_previous > 0) & (self.inputs <= whole), 0.0, self.inputs)
            self.outputs = np.where((rows.to_next > 0) & (self.outputs <= whole), 0.0, self.outputs)
        self.halo = cuts.halo
        if rows.kept_in.any() or rows.kept_out.any():
            self.inputs, self.halo = (np.where(rows.kept_in > 0, 0.0, bits) for bits in (self.inputs, self.halo))
            self.outputs = np.where(rows.kept_out > 0, 0.0, self.outputs)
        latency = np.where(rows.weights > 0, np.maximum(hw.weight_latency, hw.act_latency), hw.act_latency)
        self.setup = hw.tile_cycles + latency
        self.map_setup = hw.tile_cycles + hw.act_latency
        self.kernel = (rows.kh - 1) * rows.dh + 1
        self.fill = np.where(rows.mac, hw.pipeline_depth, 0.0) if hw.dataflow == "tree" else 0.0
        self.columns = (
            np.maximum((rows.kw - 1) * rows.dw + 1 - rows.sw, 0.0) * self.inputs / rows.wi
        )  # two pieces share

    def traffic(self, cut: Cut) -> tuple[Array, Array, Array]:
        """Bits of weights with biases, of second maps and of inputs."""
        size, bands = self.size, cut.bands - 1
        read = self.inputs + bands * self.halo
        if cut.pieces is not None:
            read = read + (cut.pieces - 1) * self.columns
            bands = cut.bands * cut.pieces - 1
        again = 1 + cut.weights_again * bands
        read = read * (1 + cut.inputs_again * (cut.groups - 1))
        return size.weights * again + size.biases, size.second * again if size.has_second else size.second, read

    def outcome(self, cut: Cut, traffic: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        """Tiles, pieces along positions, channels and the sum, traffic and clocks."""
        hw, tiles = self.hw, cut.tiles
        weights, second, read = traffic
        maps = read + second if self.size.has_second else read
        w, i, o = _transfers(hw, tiles, weights, maps, self.outputs)
        computing = self.compute / tiles + self.fill
        if (
            hw.dataflow in ethos.DATAFLOWS
        ):  # weights stream through its decoder, so that no tile waits for those of others
            cycles = pipeline_cycles(tiles, w, i, computing, o, self.setup, double=hw.double, ports=hw.ports)
        else:
            loads = self.loads(cut, weights, maps)
            cycles = uneven_cycles(tiles, loads, computing, o, double=hw.double, ports=hw.ports)
        bands = cut.bands if cut.pieces is None else cut.bands * cut.pieces
        return tiles, bands, cut.groups, cut.chunks, weights, second, read, cycles

    def loads(self, cut: Cut, weights: Array, maps: Array) -> Loads:
        """What the first tile, those that begin a group or a band, and the others load.

        Where weights are read once, bands pass under those of a group, which come with its first band; where they are
        read again for every band, groups pass over the inputs of a band, which come with its first group. Inputs that
        are not read again for every group come in the first one alone, and count evenly over groups, since a load that
        is shorter than the computation costs nothing. The first band reads ((h - 1) s + k - p) rows of h output rows,
        kernel k, stride s and p rows of padding above, of which the next bands share some: on average they read less.

        Args:
            cut: Cut of the layers.
            weights: Bits of weights and biases, all tiles together.
            maps: Bits of inputs, all tiles together.
        """
        hw, rows, tiles = self.hw, self.rows, cut.tiles
        bands = cut.bands if cut.pieces is None else cut.bands * cut.pieces
        again = (cut.weights_again > 0) & (bands > 1)
        of_weights = tiles / np.where(again, 1.0, bands)  # loads of weights, and of inputs
        of_inputs = tiles / np.where(cut.inputs_again > 0, 1.0, cut.groups)
        even = maps / of_inputs
        height = np.ceil(self.size.heights / cut.bands)
        above = np.maximum((rows.ho - 1) * rows.sh + self.kernel - rows.hi, 0.0) / 2
        share = np.minimum(((height - 1) * rows.sh + self.kernel - above) / rows.hi, 1.0)
        whole = maps / np.where(cut.inputs_again > 0, tiles / bands, of_inputs / bands)
        first = np.minimum(np.maximum(even, np.where(cut.bands > 1, share * whole / (bands / cut.bands), even)), maps)
        rest = (maps - first) / np.maximum(of_inputs - 1, 1.0)
        each = weights / of_weights
        heads = np.where(again, np.where(cut.inputs_again > 0, tiles, of_inputs), of_weights)
        spread = np.where(again | (cut.inputs_again > 0), rest, (maps - first) / np.maximum(tiles - 1, 1.0))
        none = np.zeros((1, 1))
        weight, act = 8 * hw.weight_burst_bytes, 8 * hw.act_burst_bytes
        w, a = hw.weight_burst_bytes / hw.weight_bytes_per_cycle, hw.act_burst_bytes / hw.act_bytes_per_cycle
        each_clocks, spread_clocks = np.ceil(each / weight) * w, np.ceil(spread / act) * a
        return Loads(
            heads,
            (each_clocks, np.ceil(first / act) * a),
            (each_clocks, spread_clocks),
            (np.where(again, each_clocks, none), np.where(again, none, spread_clocks)),
            self.setup,
            np.where(again, self.setup, self.map_setup),
        )

    def score(self, outcome: tuple[Array, ...]) -> Array:
        """What the best cut has the least of."""
        hw = self.hw
        weights, second, read, cycles = outcome[4:]
        if hw.objective == "latency":
            return cycles * (1 + TRAFFIC_SHARE * self.again(weights, second + read))
        if hw.objective == "traffic":
            return weights + second + read
        external: Array = weights * hw.weight_pj_per_bit + (second + read) * hw.act_pj_per_bit
        if hw.objective == "energy":
            return external
        return cycles * (external + self.outputs * hw.act_pj_per_bit)

    def again(self, weights: Array, maps: Array) -> Array:
        """Energy of what is read from outside, beside that of reading all operands once; memories without any: bits."""
        hw, size = self.hw, self.size
        of_weights, of_maps = hw.weight_pj_per_bit, hw.act_pj_per_bit
        none = (of_weights + of_maps) == 0
        of_weights, of_maps = np.where(none, 1.0, of_weights), np.where(none, 1.0, of_maps)
        once = (size.weights + size.biases) * of_weights + (self.inputs + size.second) * of_maps
        found: Array = (weights * of_weights + maps * of_maps) / np.maximum(once, 1.0)
        return found

    def finer(self, cut: Cut, order: int, traffic: tuple[Array, Array, Array]) -> Cut:
        """A cut with so many tiles as would be best if cutting finer cost only the set-up of tiles.

        With n tiles the layer takes about longest + (total - longest) / n + n * overhead, which is least at the square
        root of (total - longest) / overhead. Units are cut first, then what costs least traffic.
        """
        hw, size, cuts = self.hw, self.size, self.cuts
        weights, second, read = traffic
        act = 8 * hw.act_bytes_per_cycle
        w, i, o = weights / (8 * hw.weight_bytes_per_cycle), (read + second) / act, self.outputs / act
        longest = np.maximum(np.maximum(w, i), np.maximum(self.compute, o))
        rest = w + i + o + self.compute - longest
        wanted = np.sqrt(rest / np.maximum(self.setup + self.fill, 1.0))
        more = np.maximum(np.ceil(wanted / cut.tiles), 1.0)
        units = np.minimum(cut.units * more, cuts.most_units)
        left = np.ceil(more * cut.units / units)
        if order:
            return replace(cut, groups=np.minimum(cut.groups * left, cuts.most_groups), units=units)
        return replace(cut, bands=np.minimum(cut.bands * left, size.heights), units=units)
