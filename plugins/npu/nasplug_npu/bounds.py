"""What no cut and no overlap can beat: lower bounds of latency and energy, much cheaper than the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasplug_npu import constants
from nasplug_npu.model import geometry, precision, sparsity
from nasplug_npu.model.energy import leakage_w
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Array, Batch, Rows
from nasplug_npu.rates import RateConfig


def lower_bounds(batch: Batch, points: Points, *, cpu: RateConfig | None = None) -> tuple[Array, Array]:
    """Seconds and joules that the model never goes below, (P,) each.

    A layer takes at least as long as its products on all multipliers, and as its tensors, each moved once, on each
    memory. Its energy is at least that of its products, of moving its tensors once, and of leaking for so long.

    Args:
        batch: One network.
        points: Valid points.
        cpu: Processor for layers that the unit cannot do, as for the model.
    """
    rows = batch.rows
    counts = np.bincount(batch.index, minlength=len(rows)).astype(np.float64)
    size = geometry.sizes(rows, points.encoding)
    unsupported = ~rows.mac & ~rows.kind(*points.ppu_operations)
    works = np.where(unsupported | rows.kind("concat"), 0.0, 1.0)
    inputs, outputs = size.inputs, size.outputs
    if points.forwarding or np.any(points.fusion > 1):
        inputs, outputs = (
            np.where(rows.from_previous > 0, 0.0, inputs),
            np.where(rows.to_next > 0, 0.0, outputs),
        )
    maps, weights = (inputs + size.second) * works, (size.weights + size.biases) * works
    loads = maps / (8 * points.act_bytes_per_cycle)
    stores = outputs * works / (8 * points.act_bytes_per_cycle)
    from_maps = np.maximum(loads, stores) if points.ports == "separate" else loads + stores
    share = _least_share(rows, points)
    by_reduction, by_channel = precision.fusion(rows, points)
    computing = rows.macs * share * precision.passes(rows, points) / (points.macs * by_reduction * by_channel)
    cycles = np.maximum(np.maximum(computing, from_maps), weights / (8 * points.weight_bytes_per_cycle))
    cycles = cycles + points.layer_cycles * works
    known = constants.of(points)
    multiply = (
        rows.macs
        * _computed(rows, points)
        * (known.multiply_pj(rows.second_bits, rows.input_bits) + known.add_pj(points.acc_bits))
    )
    scale = known.process_scale(points.node_nm, points.vdd)
    moved = weights * points.weight_pj_per_bit + (maps + outputs * works) * points.act_pj_per_bit
    latency = (counts @ cycles) / points.freq_hz
    if cpu is not None and unsupported.any():
        clocks, joules = cpu.cost(rows)
        latency = latency + float((counts @ np.where(unsupported, clocks, 0.0)).item()) / cpu.freq_hz
        extra = float((counts @ np.where(unsupported, joules, 0.0)).item())
    else:
        extra = 0.0
    picojoules = counts @ (multiply * scale + moved)
    energy = picojoules * 1e-12 + extra + np.ravel(leakage_w(points)) * latency
    shape = (len(points),)
    # Rounding must not put a bound above what it bounds.
    return tuple(np.broadcast_to(bound, shape) * (1 - 1e-9) for bound in (latency, energy))  # type: ignore[return-value]


def _least_share(rows: Rows, hw: Points) -> Any:
    """Share of dense time that skipping leaves at best."""
    structured = sparsity.structured_share(rows, hw)
    if structured is not None:
        return structured
    density = sparsity.skipped_density(rows, hw)
    return 1.0 if density is None else density


def _computed(rows: Rows, hw: Points) -> Any:
    """Share of the products that are computed at least, gated ones not counted."""
    by_weight = np.where(rows.matmul, rows.input_density, rows.weight_density)
    if hw.nm is not None and hw.sparsity in ("weight_skip", "dual_skip"):
        return sparsity.structured_share(rows, hw)
    return {
        "none": 1.0,
        "weight_skip": by_weight,
        "act_skip": rows.input_density,
    }.get(hw.sparsity, by_weight * rows.input_density)
