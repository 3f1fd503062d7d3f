"""The best cut of a layer by trying all of them, where closed forms are not enough.

A cut is how many groups of channels, bands of rows and pieces of the sum a layer falls into, and which operand stays.
Only the numbers of pieces matter to traffic and time, so that all heights and widths of tiles come down to a few
hundred different cuts. The cuts of the closed form are among those tried, so that searching is never worse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nasplug_npu.model.array import ArrayWork
from nasplug_npu.model.geometry import Cut, Cuts, Limits, Plan, block_of, cuts, sizes
from nasplug_npu.model.rows import Array, Rows
from nasplug_npu.model.tiling import BOTH, COARSE, Tiling, Work

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


def search(rows: Rows, hw: Points, work: ArrayWork, compute: Array) -> Tiling:
    """The best cut of every row on every point by the objective of the points.

    Args:
        rows: Layers.
        hw: Points.
        work: Work of the array.
        compute: Clocks that the array and the post-process unit need for all tiles together.
    """
    count, points = len(rows), len(hw)
    clocks = np.broadcast_to(compute, (count, points))
    parts = [np.broadcast_to(part, (count, points)) for part in work.parts()]
    found = np.empty((8, count, points))
    outputs = np.empty((count, points))
    for place in range(points):
        point = hw.take([place]) if points > 1 else hw
        for row in range(count):
            one = ArrayWork(*(part[row : row + 1, place : place + 1] for part in parts))
            layer = Rows(rows.matrix[row : row + 1])
            best, written = _best(layer, point, one, clocks[row : row + 1, place : place + 1])
            found[:, row, place], outputs[row, place] = best, written
    tiles, bands, groups, chunks, weights, second, read, cycles = found
    return Tiling(tiles, bands, groups, chunks, weights, second, read, outputs, cycles)


def _best(row: Rows, hw: Points, work: ArrayWork, compute: Array) -> tuple[list[float], float]:
    """Outcome of the best cut of one layer on one point, and the bits that it writes."""
    size = sizes(row, hw.encoding, block_of(hw))
    closed = cuts(row, hw, size, work)
    plan = Plan(row, hw, size, work)
    judge = Work(row, hw, size, closed, compute)
    tried: list[Cut] = []
    for order in range(3):
        coarse = closed.orders[order]
        for fine in BOTH if hw.double else COARSE:
            tried.append(judge.finer(coarse, order, judge.traffic(coarse)) if fine else coarse)
        for limits in (plan.split,) if plan.must.all() else (plan.whole, plan.split):
            tried += _of_units(plan.cut(order, _all(plan, limits)), closed)
    lowest, best = np.inf, [0.0] * 8
    for cut in tried:
        outcome = judge.outcome(cut, judge.traffic(cut))
        score = np.ravel(judge.score(outcome))
        if not len(score):
            continue
        place = int(np.argmin(score))
        if score[place] < lowest:
            lowest = float(score[place])
            best = [float(np.broadcast_to(part, (1, len(score)))[0, place]) for part in outcome]
    return best, float(np.ravel(judge.outputs)[0])


def _all(plan: Plan, limits: Limits) -> tuple[Array, Array, Array, Array]:
    """Groups, bands, pieces along columns and pieces of the sum of all cuts that fit the buffers, (1, C) each."""
    size, grain = plan.size, float(plan.grain.item())
    groups = _pieces(int(np.ceil(size.filters.item() / grain)))
    bands = _pieces(int(size.heights.item()))
    groups, bands = (axis.reshape(1, -1) for axis in np.meshgrid(groups, bands))
    channels = np.minimum(np.ceil(size.filters / (groups * grain)) * grain, size.filters)
    height = np.ceil(size.heights / bands)
    fits = (channels * height <= limits.room) | (groups * bands == _finest(plan))
    if limits is plan.whole:
        chunks = np.ones_like(groups)
        fits &= (channels <= limits.channels) & (height <= limits.height)
    else:
        read = np.minimum(((height - 1) * plan.rows.sh + plan.kernel) * limits.line, plan.all_inputs)
        needed = np.maximum(channels * plan.filter_bits / plan.weight_room, read / plan.input_room)
        chunks = np.maximum(np.ceil(needed), 1.0)
        fits &= chunks <= limits.chunks
    kept = fits[0]
    pieces = np.broadcast_to(limits.pieces, groups.shape)
    return groups[:, kept], bands[:, kept], pieces[:, kept], chunks[:, kept]


def _finest(plan: Plan) -> Array:
    """Groups times bands of the smallest tiles, which count as fitting as they do for the closed form."""
    return np.ceil(plan.size.filters / plan.grain) * plan.size.heights


def _of_units(cut: Cut, closed: Cuts) -> list[Cut]:
    """The cuts, and, where whole units share tiles, the same with fewer of them in each."""
    most = float(np.max(closed.most_units))
    shared = float(np.min(cut.units)) if cut.units.size else most
    found = [cut]
    while shared < most:
        shared = min(2 * shared, most)
        found.append(replace(cut, units=np.minimum(np.maximum(cut.units, shared), most)))
    return found


def _pieces(whole: int) -> Array:
    """All numbers of pieces that something falls into, as equal as can be."""
    return np.unique(np.ceil(whole / np.arange(1, whole + 1, dtype=np.float64)))
