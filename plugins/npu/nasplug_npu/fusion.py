"""Chains of layers computed depth first: band by band through several layers, whose maps never leave the unit.

Of each map between two layers of a group only the rows stay that windows still need, in the output buffer; rows are
never computed twice. The weights of a group stay in the weight buffer for all its bands. Every band sets up a tile of
every layer. Which layers make a group is found exactly: over all partitions of each chain into groups of at most
`fusion` layers, the least of the objective.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.workloads.workload import OPERATIONS
from nasplug_npu.model.geometry import sizes
from nasplug_npu.model.rows import COLUMNS, Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.model.layers import Layers

#: Layers that work on bands of rows: all but matrix products, fully connected ones, and what looks at whole maps.
_BANDED = tuple(OPERATIONS.index(name) for name in ("conv", "maxpool", "avgpool", "lut", "scale"))
_AT = {name: place for place, name in enumerate(COLUMNS)}


def fused(matrix: Array, config: NPUConfig, price: Any) -> Array:
    """Marks the layers of a network whose maps stay in the unit, and how many bands they are computed in.

    Args:
        matrix: Layers, (L, columns), see `nasplug_npu.model.rows.pack`.
        config: The unit.
        price: Function from layers to what the model says of them.
    """
    groups = [group for first in range(len(matrix)) for group in _groups(matrix, config, first)]
    if not groups:
        return matrix
    parts = [matrix, *(marked for _, marked in groups)]
    costs = _costs(price(Rows(np.concatenate(parts))), config)
    alone, rest = costs[: len(matrix)], costs[len(matrix) :]
    sums = np.add.reduceat(rest, np.cumsum([0, *(len(marked) for _, marked in groups[:-1])]))
    ending: dict[int, list[tuple[int, float, Array]]] = {}
    for (first, marked), cost in zip(groups, sums.tolist(), strict=True):
        ending.setdefault(first + len(marked), []).append((first, cost, marked))
    best, chosen = [0.0], [(0, matrix[:0])]
    for end in range(1, len(matrix) + 1):
        options = [(best[end - 1] + float(alone[end - 1]), end - 1, matrix[end - 1 : end])]
        options += [(best[first] + cost, first, marked) for first, cost, marked in ending.get(end, ())]
        cost, first, marked = min(options, key=lambda option: option[0])
        best.append(cost)
        chosen.append((first, marked))
    found, end = [], len(matrix)
    while end:
        end, marked = chosen[end]
        found.append(marked)
    return np.concatenate(found[::-1])


def _groups(matrix: Array, config: NPUConfig, first: int) -> list[tuple[int, Array]]:
    """Groups of two or more layers that begin here and fit the buffers, with their marks."""
    found = []
    room = config.weight_kb * 8192 / (2 if config.double else 1)
    weights = sizes(Rows(matrix[first : first + config.fusion]), config.encoding)
    bits = np.cumsum((weights.weights + weights.biases)[:, 0])
    for count in range(2, min(config.fusion, len(matrix) - first) + 1):
        rows = matrix[first : first + count]
        linked = rows[-1, _AT["from_previous"]] and rows[-1, _AT["operation"]] in _BANDED
        if not linked or rows[0, _AT["operation"]] not in _BANDED or bits[count - 1] > room:
            break
        bands = _bands(rows, config.output_kb * 8192)
        if bands:
            marked = rows.copy()
            marked[1:, _AT["kept_in"]] = marked[:-1, _AT["kept_out"]] = 1
            marked[:, _AT["bands"]] = bands
            found.append((first, marked))
    return found


def _bands(rows: Array, room: float) -> int:
    """The fewest bands whose maps fit, 0 if not even those of one row of the last output do."""
    heights, best = int(rows[-1, _AT["ho"]]), 0
    high = 1
    while True:
        if _kept_bits(rows, min(high, heights)) > room:
            return best
        best = -(-heights // min(high, heights))
        if high >= heights:
            return best
        high *= 2


def _kept_bits(rows: Array, high: int) -> float:
    """Bits of the maps between the layers, if so many rows of the last output are computed at once."""
    total, new = 0.0, float(high)
    for row in rows[:0:-1]:
        kernel = (row[_AT["kh"]] - 1) * row[_AT["dh"]] + 1
        held = min((new - 1) * row[_AT["sh"]] + kernel, row[_AT["hi"]])
        total += held * row[_AT["wi"]] * row[_AT["ci"]] * row[_AT["input_bits"]]
        new = min(new * row[_AT["sh"]], row[_AT["hi"]])
    return total


def _costs(found: Layers, config: NPUConfig) -> Array:
    """What the objective has the least of, for every layer; where a layer does not fit or cannot run, its clocks."""
    amounts = found.amounts
    moved = (
        amounts["weight_memory_bits"] * config.weight_pj_per_bit + amounts["map_memory_bits"] * config.act_pj_per_bit
    )
    bits = amounts["weight_memory_bits"] + amounts["map_memory_bits"]
    cost = {"traffic": bits, "energy": moved}.get(config.objective, amounts["cycles"])
    return np.ravel(cost)
