"""How much time skipped zeros save, when lanes must wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from nasplug_npu.model.rows import Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


_SKIPPED = {"weight_skip": (True, False), "act_skip": (False, True), "dual_skip": (True, True)}


def slowest_share(density: Any, lanes: Any, sync: Any) -> Array:
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


def skipped_density(rows: Rows, hw: Points) -> Array | None:
    """Share of the products that skipping leaves, at least one in `window`; None if nothing is skipped."""
    if hw.nm is not None and hw.sparsity in ("weight_skip", "dual_skip"):
        return None  # structured: a matter of counting, see structured_share
    by_weight, by_input = _SKIPPED.get(hw.sparsity, (False, False))
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


def waiting_lanes(hw: Points, reduction: Any, channels: Any, positions: Any) -> Any:
    """Lanes with zeros of their own: a weight serves all positions at once, an activation all output channels."""
    by_weight, by_input = _SKIPPED[hw.sparsity]
    return reduction * (channels if by_weight else 1) * (positions if by_input else 1)
