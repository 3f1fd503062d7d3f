"""How much time skipped zeros save, when lanes wait for each other and for the banks of the buffers.

Lanes that skip zeros advance at their own pace. Each then reads operands of its own in every clock, where dense lanes
share them: a weight that is skipped leaves the lanes of one input channel at different channels. Such reads meet in the
banks of a buffer at random. Positions (or channels) that share what is skipped keep their distance to each other
whatever the lane skips to, so that they are read side by side as in dense work. A lane of 1 x 1 x p therefore waits
for nothing, in this model as in hardware whose buffer serves p neighbouring positions at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from nasplug_npu.constants import Number
from nasplug_npu.model.rows import Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


_SKIPPED = {"weight_skip": (True, False), "act_skip": (False, True), "dual_skip": (True, True)}


def slowest_share(density: Number, lanes: Number, sync: Number) -> Array:
    """Expected time of the slowest of several lanes, relative to dense work.

    Each lane takes one clock per element that is not zero and waits for the others after `sync` elements. The number
    of such elements is binomial; the expected maximum over the lanes is approximated with the normal distribution and
    Blom's plotting position (Blom, Statistical Estimates and Transformed Beta-Variables, 1958).

    Args:
        density: Share of elements that are not zero.
        lanes: Lanes with their own zeros.
        sync: Elements between two barriers.
    """
    spread = np.sqrt(density * (1 - density) / sync) * ndtri((lanes - 0.375) / (lanes + 0.25))
    return np.clip(density + spread, density, 1.0)


def skipped(sparsity: str) -> tuple[bool, bool]:
    """Whether zeros of weights, and of inputs, are skipped by this mode of `nasplug_npu.NPUConfig`."""
    return _SKIPPED.get(sparsity, (False, False))


def skipped_density(rows: Rows, hw: Points) -> Array | None:
    """Share of the products that skipping leaves, at least one in `window`; None if nothing is skipped."""
    if hw.nm is not None and hw.sparsity in ("weight_skip", "dual_skip"):
        return None  # structured: a matter of counting, see structured_share
    by_weight, by_input = skipped(hw.sparsity)
    density = np.ones((len(rows), 1))
    if by_weight:
        density = density * np.where(rows.matmul, rows.input_density, rows.weight_density)
    if by_input:
        density = density * rows.input_density
    if not np.any(density[rows.mac] < 1):
        return None
    return np.maximum(density, 1 / hw.window)


def structured_share(rows: Rows, hw: Points) -> Array | None:
    """N/M for layers whose weights fit the structure, 1 for others; None if the array knows no structure."""
    if hw.nm is None or hw.sparsity not in ("weight_skip", "dual_skip"):
        return None
    n, m = hw.nm
    return np.where((rows.weight_density <= n / m) & (rows.weights > 0), n / m, 1.0)


def banked_share(density: Number, lanes: Number, width: Number, banks: Number, sync: Number) -> Array:
    """Expected time of the busiest bank of a buffer, relative to dense work.

    Every lane reads `width` neighbouring elements for each of its products, from a place that is random to the others.
    Banks of as many elements then serve a binomial number of reads between two barriers; its expected maximum is
    approximated as for lanes. Reads wait in queues, so that only the busiest bank counts, not every collision.

    Args:
        density: Share of elements that are not zero.
        lanes: Lanes with places of their own.
        width: Elements that a lane reads at once.
        banks: Elements that the buffer reads per clock.
        sync: Dense elements of a lane between two barriers.
    """
    groups = np.maximum(np.floor(banks / width), 1.0)
    turns = np.maximum(width / banks, 1.0)
    load = density / groups
    spread = np.sqrt(lanes * load * (1 - load) / sync) * ndtri((groups - 0.375) / (groups + 0.25))
    found: Array = turns * (lanes * load + np.where(lanes > 1, spread, 0.0))
    return found


def skipping_share(
    rows: Rows, hw: Points, density: Array, used: tuple[Array, Array, Array], demand: tuple[Array, Array]
) -> Array:
    """Time relative to dense work of which no operand is late.

    Args:
        rows: Layers.
        hw: Points of the hardware.
        density: Share of the products that skipping leaves.
        used: Lanes in use: input channels, output channels, positions.
        demand: Clocks that the buffers of inputs and of weights take for one clock of dense work.
    """
    by_weight, by_input = _SKIPPED[hw.sparsity]
    reduction, channels, positions = used
    every = reduction * channels * positions
    lanes = waiting_lanes(hw, *used)
    found = slowest_share(density, lanes, hw.sync)
    from_inputs, from_weights = demand
    if by_weight:  # inputs are gathered
        width = every / lanes
        banks = np.maximum(np.floor(hw.input_port_bits / rows.input_bits), 1.0)
        gathered = banked_share(density, lanes, width, banks, hw.sync)
    else:  # maps are stored with their zeros, which must be read to be found
        gathered = from_inputs
    if by_input:  # weights are gathered
        banks = np.maximum(np.floor(hw.weight_port_bits / rows.second_bits), 1.0)
        needed = banked_share(density, lanes, every / lanes, banks, hw.sync)
    else:  # every lane has a stream of weights, without their zeros
        needed = from_weights * found
    return np.maximum(found, np.maximum(gathered, needed))


def waiting_lanes(hw: Points, reduction: Array, channels: Array, positions: Array) -> Array:
    """Lanes with zeros of their own: a weight serves all positions at once, an activation all output channels."""
    by_weight, by_input = _SKIPPED[hw.sparsity]
    return reduction * (channels if by_weight else 1) * (positions if by_input else 1)
