"""Clocks of Arm's Ethos-U55 and U65, after the performance model of its compiler Vela 5.2.0 (Apache-2.0), restated.

The compiler's own numbers also have overheads per block that are left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasplug_npu.model.rows import Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


#: Multipliers to (height, width, depth) of an output block, clocks per output element, per addition and per activation
#: function, and number of cores: `ethosu/vela/architecture_features.py` and `npu_performance.py`.
CORES = {
    32: ((1, 1, 4), 2.0, 6.0, 1.0, 1),
    64: ((1, 1, 8), 1.0, 3.0, 1.0, 1),
    128: ((2, 1, 8), 0.5, 1.5, 0.5, 1),
    256: ((2, 2, 8), 0.25, 0.75, 0.25, 1),
    512: ((2, 2, 8), 0.125, 0.375, 0.125, 2),  # U65 only
}


def ethos_cycles(rows: Rows, hw: Points) -> tuple[Array, Array]:
    """Clocks of every row, elementwise ones and pools included, (L, P), and the depth of a block, (P,).

    A step of 4 clocks takes 32 input channels of one kernel element for one block of outputs; weights arrive at 8 per
    clock. Convolutions go depth first, or four kernel elements and 8 channels at a time, whichever is faster.
    """
    found = [_one(rows, int(macs)) for macs in np.ravel(hw.macs)]
    return np.concatenate([cycles for cycles, _ in found], axis=1), np.array([float(depth) for _, depth in found])


def _one(rows: Rows, macs: int) -> tuple[Array, int]:
    (height, width, depth), output_cost, add_cost, activation_cost, cores = CORES[macs]
    blocks = np.ceil(rows.ho / height) * np.ceil(rows.wo / width)
    # matrices of a batch and groups of a convolution are layers of their own
    times = np.where(rows.matmul, rows.n, np.where(rows.mac & ~rows.depthwise, rows.groups, 1.0))
    batch = np.where(rows.matmul, 1.0, rows.n)
    deep = np.ceil(rows.filters / depth)
    step = np.maximum(4 * depth, 4 * blocks)
    depth_first = step * rows.taps * deep * np.ceil(rows.reduction / 32)
    part_kernel = step * np.ceil(rows.taps / 4) * np.ceil(rows.reduction / 8) * deep
    dense = np.minimum(depth_first, part_kernel) * times
    depthwise = step * np.ceil(rows.taps / 4) * deep
    pool = np.maximum(4, rows.taps) * blocks * np.ceil(rows.co / depth)
    cycles = np.where(rows.depthwise, depthwise, dense)
    cycles = np.where(rows.kind("maxpool", "avgpool"), pool, cycles) / cores
    cycles = np.where(rows.kind("add", "mul", "scale"), rows.outputs * add_cost / batch, cycles)
    cycles = np.where(rows.kind("lut", "resize"), rows.outputs * activation_cost / batch, cycles)
    cycles = np.maximum(cycles * batch, rows.outputs * max(output_cost, activation_cost))
    return np.where(rows.kind("concat"), 0.0, cycles), depth
