"""Clocks of Arm's Ethos products for every layer, see `ethos_blocks` (U55, U65) and `ethos_u85` for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasplug.workloads.workload import OPERATIONS
from nasplug_npu.model import ethos_blocks, ethos_u85, ethos_u85_cores
from nasplug_npu.model.ethos_blocks import Layer, Memory
from nasplug_npu.model.rows import Array, Rows

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points

#: Dataflows that are priced here.
DATAFLOWS = ("ethos_u55", "ethos_u85")
#: Fields of a configuration that the clocks depend on.
FIELDS = ("macs", "act_latency", "act_bytes_per_cycle", "act_burst_bytes")
#: Kinds of layers, and what is computed where it is not a sum of products.
_KINDS = {
    **{"conv": ("dense", ""), "matmul": ("dense", ""), "fc": ("vector", "")},
    **{"maxpool": ("pool", "maximum"), "avgpool": ("pool", "")},
    **{"add": ("elements", "add"), "mul": ("elements", "multiply"), "scale": ("elements", "multiply")},
}
#: Everything else is a table, or a copy, of its elements.
_OTHER = ("pool", "table")


def ethos_cycles(rows: Rows, hw: Points) -> tuple[Array, Array]:
    """Clocks of every row, elementwise ones and pools included, (L, P), and the depth of a block, (P,).

    Groups of a convolution and matrices of a batch are layers of their own. A U85 does additions and the like on what
    it computed before, ahead of storing it: they cost the layer that they follow, and nothing themselves.
    """
    newer = hw.dataflow == "ethos_u85"
    cycles = ethos_u85.cycles if newer else ethos_blocks.cycles
    named = [OPERATIONS[int(kind)] for kind in rows.operation[:, 0]]
    matrix = [[int(value) for value in row] for row in _columns(rows).tolist()]
    different, places = np.unique(_points(hw), axis=0, return_inverse=True)
    found, chained = np.empty((len(rows), len(different))), rows.chained[:, 0]
    for column, (macs, *memory) in enumerate(different.tolist()):
        for row, (name, sizes) in enumerate(zip(named, matrix, strict=True)):
            if name == "concat" or (newer and chained[row] < 0):
                found[row, column] = 0.0  # written in place by its sources, or done by the layer before
                continue
            layer, times = _layer(name, sizes)
            layer = layer._replace(chained=max(int(chained[row]), 0)) if newer else layer
            found[row, column] = times * cycles(layer, int(macs), Memory(*memory))
    depths = np.array([float(_depth(int(macs), newer)) for macs in np.ravel(hw.macs)])
    return found[:, np.ravel(places)], depths


def _depth(macs: int, newer: bool) -> int:
    """Channels that are computed at once."""
    return ethos_u85_cores.CORES[macs].dense[0].size[2] if newer else ethos_blocks.CORES[macs].ublock[2]


def _columns(rows: Rows) -> Array:
    names = ("n", "ci", "hi", "wi", "co", "ho", "wo", "kh", "kw", "sh", "sw", "dh", "dw", "groups")
    return np.concatenate([getattr(rows, name) for name in names], axis=1)


def _points(hw: Points) -> Array:
    values = [np.ravel(getattr(hw, name)) for name in FIELDS]
    return np.stack(np.broadcast_arrays(*values), axis=1)


def _layer(name: str, sizes: list[int]) -> tuple[Layer, int]:
    """A layer of one input, and how often it is done."""
    n, ci, hi, wi, co, ho, wo, kh, kw, sh, sw, dh, dw, groups = sizes
    kind, computed = _KINDS.get(name, _OTHER)
    if name == "conv" and groups > 1:
        if groups == ci:
            kind = "depthwise"
        else:
            n, ci, co = n * groups, ci // groups, co // groups
    if kind in ("elements", "pool") and name not in ("maxpool", "avgpool"):
        kh = kw = sh = sw = dh = dw = 1
        hi, wi, ci = ho, wo, co
    return Layer(kind, (hi, wi, ci), (ho, wo, co), (kh, kw), (sh, sw), (dh, dw), computed), n
