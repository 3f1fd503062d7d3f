"""Clocks of a systolic array, as SCALE-Sim v3 (arXiv 2504.15377) counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasplug_npu.model.rows import Array, Rows
from nasplug_npu.model.sparsity import structured_share

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


def systolic_cycles(rows: Rows, hw: Points) -> Array:
    """Clocks of each row in one pass of its operands, (L, 1).

    With R rows, C columns and a product of K = taps * channels summed, N output channels and M positions, one fold
    keeps R x C operands (`ws`: weights, `is`: inputs) or sums (`os`) in place:

    * `ws`: (2R + C + M - 2) * ceil(K/R) * ceil(N/C) - 1
    * `is`: (2R + C + N - 2) * ceil(K/R) * ceil(M/C) - 1
    * `os`: (R + C + K - 2) * ceil(M/R) * ceil(N/C) - 1

    A depthwise layer is done channel by channel, a grouped one group by group. With N:M weights, K counts only what
    is stored.
    """
    r, c, _ = hw.fixed_shape
    summed, filters, positions, times = operands(rows, hw)
    if hw.dataflow == "systolic_ws":
        once = (2 * r + c + positions - 2) * np.ceil(summed / r) * np.ceil(filters / c) - 1
    elif hw.dataflow == "systolic_is":
        once = (2 * r + c + filters - 2) * np.ceil(summed / r) * np.ceil(positions / c) - 1
    else:
        once = (r + c + summed - 2) * np.ceil(positions / r) * np.ceil(filters / c) - 1
    return np.where(rows.mac, once * times, 0.0)


def operands(rows: Rows, hw: Points) -> tuple[Array, Array, Array, Array]:
    """K, N and M of one product, and how many of them a row has."""
    times = np.where(rows.mac, rows.units, 1.0)
    summed = rows.taps * np.where(rows.depthwise, 1.0, rows.reduction)
    filters = np.where(rows.matmul, rows.co, rows.co / times)
    structured = structured_share(rows, hw)
    if structured is not None and hw.nm is not None:
        n, m = hw.nm
        summed = np.where(structured < 1, np.ceil(summed * n / m), summed)
    return summed, filters, rows.positions, times


def buffer_accesses(rows: Rows, hw: Points) -> tuple[Array, Array, Array]:
    """Elements read of inputs and of weights, and written of outputs, between buffers and array, (L, 1) each."""
    r, c, _ = hw.fixed_shape
    summed, filters, positions, times = operands(rows, hw)
    inputs, weights, outputs = positions * summed, summed * filters, positions * filters
    if hw.dataflow == "systolic_ws":
        inputs, outputs = inputs * np.ceil(filters / c), outputs * np.ceil(summed / r)
    elif hw.dataflow == "systolic_is":
        weights, outputs = weights * np.ceil(positions / c), outputs * np.ceil(summed / r)
    else:
        inputs, weights = inputs * np.ceil(filters / c), weights * np.ceil(positions / r)
    return inputs * times, weights * times, outputs * times
