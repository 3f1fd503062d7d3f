"""Everything about every layer on every hardware point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nasplug_npu.model import array, energy, ethos, geometry, precision
from nasplug_npu.model.rows import Array, Mask, Rows
from nasplug_npu.model.searching import search
from nasplug_npu.model.tiling import Tiling, memory_clocks, tile
from nasplug_npu.rates import RateConfig

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


#: What may bound a layer, in the order of the numbers in `bound`.
BOUNDS = ("array", "post", "weights", "maps", "control")
#: Amounts of a layer that add up over a network: clocks, products, clocks of single multipliers, bytes, layers that the
#: unit cannot do, layers whose work costs no time, and what energy is computed from.
AMOUNTS = (
    *("cycles", "compute_cycles", "post_cycles", "tiles", "macs", "computed_macs", "slots", "flash_bytes"),
    *("unsupported", "unpriced"),
    *energy.AMOUNTS,
)
#: Fields that none of the amounts depends on: they turn clocks into seconds and amounts into joules.
UNITS = ("freq_hz", "node_nm", "vdd", "gate_fraction")


@dataclass(frozen=True)
class Layers:
    """Amounts per layer, (L, P) each, or (L, 1) where points do not differ.

    Attributes:
        amounts: Amounts by the names in `AMOUNTS`.
        shape: (r, c, p) of the array.
        unsupported: Layers that the unit cannot do, (L, 1).
        fits: Layers that fit the buffers.
        tiling: Tiling of the layers.
        hw: The points.
    """

    amounts: dict[str, Array]
    shape: tuple[Array, Array, Array]
    unsupported: Mask
    fits: Array
    tiling: Tiling
    hw: Points

    @cached_property
    def bound(self) -> Array:
        """Index into `BOUNDS` of what each layer waits for: what takes longest, or `control` if nothing does."""
        weights, maps, stores = memory_clocks(self.tiling, self.hw)
        maps = np.maximum(maps, stores) if self.hw.ports == "separate" else maps + stores
        cycles = self.amounts["cycles"]
        longest, found = np.zeros(cycles.shape), np.zeros(cycles.shape, dtype=np.int8)
        for index, part in enumerate((self.amounts["compute_cycles"], self.amounts["post_cycles"], weights, maps)):
            found = np.where(part > longest, np.int8(index), found)
            longest = np.maximum(part, longest)
        return np.where(cycles > 2 * longest, np.int8(len(BOUNDS) - 1), found)


def layers(rows: Rows, hw: Points, *, cpu: RateConfig | None = None) -> Layers:
    """The model: compute, cut, overlap.

    Args:
        rows: The layers.
        hw: Points points, see `nasplug_npu.model.points.Points`.
        cpu: Takes the layers that the unit cannot do; without one they cost nothing, and are counted.
    """
    size = geometry.sizes(rows, hw.encoding, geometry.block_of(hw))
    work, cut = _cuts(rows, hw, size)
    computing, post = _clocks(rows, hw, work)
    busy = np.maximum(computing, post) if hw.ppu_fused else computing + post
    tiling = tile(rows, hw, size, cut, busy) if hw.tiling == "closed" else search(rows, hw, work, busy)
    unsupported = ~rows.mac & ~rows.kind(*hw.ppu_operations)
    idle = unsupported | rows.kind("concat")  # a concatenation is written in place
    works = np.where(idle, 0.0, 1.0)
    cycles = (tiling.cycles + hw.layer_cycles) * works
    if hw.dataflow == "ethos_u85":  # what it does on outputs before it stores them takes no time of its own
        cycles = np.where(rows.chained < 0, 0.0, cycles)
    if (rows.bands > 1).any():  # a tile for every further band of a group of layers
        fill = hw.pipeline_depth if hw.dataflow == "tree" else 0.0
        cycles = cycles + (rows.bands - 1) * (hw.tile_cycles + np.where(rows.mac, fill, 0.0)) * works
    used, computed = energy.amounts(rows, hw, work, tiling)
    by_reduction, by_channel = precision.fusion(rows, hw)
    found = {
        "cycles": cycles,
        "compute_cycles": computing,
        "post_cycles": post * works,
        "tiles": tiling.tiles * works,
        "macs": rows.macs,
        "computed_macs": computed,
        "slots": computed * precision.passes(rows, hw) / (by_reduction * by_channel),
        "flash_bytes": rows.stored * (size.weights + size.biases) / 8,
        "unsupported": unsupported.astype(np.float64),
        **(used if not idle.any() else {name: value * works for name, value in used.items()}),
    }
    if cpu is not None and unsupported.any():
        clocks, joules = cpu.cost(rows)
        found["cycles"] = np.where(unsupported, clocks * hw.freq_hz / cpu.freq_hz, cycles)
        found["processor_j"] = np.where(unsupported, joules, 0.0)
    found["unpriced"] = (unsupported & (found["cycles"] <= 0)).astype(np.float64)
    shape = (work.reduction, work.channels, work.positions)
    return Layers(found, shape, unsupported, np.logical_or(cut.fits, idle), tiling, hw)


def _cuts(rows: Rows, hw: Points, size: geometry.Sizes) -> tuple[array.ArrayWork, geometry.Cuts]:
    """The array's work and the coarsest cuts, each computed once for points that do not differ in it."""
    few, inverse = hw.distinct((*array.fields(hw), *geometry.FIELDS))
    fewer, again = few.distinct(array.fields(hw))
    work = array.array_work(rows, fewer)
    if again is not None:
        work = work.pick(again)
    cut = geometry.cuts(rows, few, size, work)
    if inverse is not None:
        work, cut = work.pick(inverse), cut.pick(inverse)
    return work, cut


def _clocks(rows: Rows, hw: Points, work: array.ArrayWork) -> tuple[Array, Array]:
    """Clocks of the array and of the post-process unit."""
    if hw.dataflow in ethos.DATAFLOWS:  # its block model has both
        return np.where(rows.mac, work.cycles, 0.0), np.where(rows.mac, 0.0, work.cycles)
    elements = np.where(rows.kind("maxpool", "avgpool"), rows.outputs * rows.taps, rows.outputs)
    elements = np.where(rows.kind("concat"), 0.0, elements)
    return work.cycles, np.ceil(elements / hw.ppu_per_cycle)
