"""What narrow operands gain, and what they take to store."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug_npu.model.rows import Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points


def usable(bits: Array, hw: Points) -> Array:
    """The width at which an operand is computed: the next power of two of bricks, at most the native width."""
    wide = np.maximum(bits, hw.brick_bits)
    return np.minimum(np.exp2(np.ceil(np.log2(wide))), hw.max_bits)


def fusion(rows: Rows, hw: Points) -> tuple[Array, Array]:
    """Factors on the reduction lanes and on the output channel lanes, (L, P) each.

    The rule of Bit Fusion (arXiv 1712.01507): a native multiplier is a square of bricks, so that operands of 1/u of
    the native width make u products each. Which operand widens which side of the array is a choice of this model:
    narrow activations sum more input channels, narrow weights give more output channels.
    """
    one = np.ones((1, 1))
    if hw.precision == "none":
        return one, one
    by_weight = hw.max_bits / usable(rows.second_bits, hw)
    by_input = hw.max_bits / usable(rows.input_bits, hw)
    if hw.precision == "weight_only":
        return one, by_weight
    if hw.precision == "symmetric":
        return np.minimum(by_weight, by_input), one
    return by_input, by_weight


def passes(rows: Rows, hw: Points) -> Array:
    """How often operands wider than the native width go through the array."""
    return np.ceil(rows.second_bits / hw.max_bits) * np.ceil(rows.input_bits / hw.max_bits)


def _measured(bits: Array, density: Array) -> Array:
    """Bits per weight between those that were measured; beyond, those at the end, scaled with the width."""
    widths, shares, table = _table()
    wide = np.clip(bits, widths[0], widths[-1])
    by_width = [np.interp(density, (0.0, *shares), (0.0, *row)) for row in table]
    upper = np.clip(np.searchsorted(widths, wide), 1, len(widths) - 1)
    part = (wide - widths[upper - 1]) / (widths[upper] - widths[upper - 1])
    below = np.select([upper - 1 == place for place in range(len(widths))], by_width)
    above = np.select([upper == place for place in range(len(widths))], by_width)
    found: Array = (below + part * (above - below)) * bits / wide
    return found


@lru_cache(maxsize=1)
def _table() -> tuple[Array, Array, Array]:
    """Widths, shares of weights that are not zero, and bits per weight (widths, shares)."""
    from nasplug_npu.constants import table

    rows = {(float(row["bits"]), float(row["density"])): float(row["stored"]) for row in table("weights_mlw")}
    widths, shares = (sorted({key[place] for key in rows}) for place in (0, 1))
    stored = np.array([[rows[width, share] for share in shares] for width in widths])
    return np.array(widths), np.array(shares), stored


def stored_bits(bits: Any, density: Any, encoding: str) -> Array:
    """Bits per element of a tensor in memory; dense where the encoding would make it larger.

    Expected values for zeros at random places; structured `nmN:M` holds exactly N of M. `mlw` is what Arm's compiler
    was measured to need, see `data/weights_mlw.csv`.

    Args:
        bits: Width of one element.
        density: Share of elements that are not zero.
        encoding: See `nasplug_npu.NPUConfig`.
    """
    dense = np.asarray(bits, dtype=np.float64)
    if encoding == "dense":
        return dense
    if encoding == "bitmask":
        encoded = density * dense + 1
    elif encoding == "mlw":
        encoded = _measured(dense, np.asarray(density, dtype=np.float64))
    elif encoding == "csc":  # an index of 8 bits per element, which covers a segment of 256
        encoded = density * (dense + 8)
    elif encoding.startswith("rle"):
        run = int(encoding[3:])  # a run that is too long for its counter costs a zero element
        encoded = density * (dense + run) * (1 + (1 - density) ** (2.0**run))
    else:
        n, _, m = encoding[2:].partition(":")
        share = int(n) / int(m)
        encoded = np.where(density <= share, share * (dense + np.log2(int(m))), dense)
    return np.minimum(dense, encoded)
