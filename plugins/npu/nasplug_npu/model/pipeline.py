"""How long tiles take that are loaded, computed and stored at the same time: closed forms.

Every form is exact for separate ports and tiles that are equal, or that load as they like and are computed and stored
alike; `nasplug_npu.events` has the recursion that tests them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nasplug_npu.model.rows import Array


def pipeline_cycles(
    tiles: Any, weights: Any, inputs: Any, compute: Any, outputs: Any, setup: Any, *, double: bool, ports: str
) -> Array:
    """Clocks for equal tiles that each take so long to load, to compute and to store.

    With two halves of every buffer a tile is loaded while the one before is computed and the one before that stored:
    l + c + s + (n - 1) * max(l, c, s). With one, loading waits for computing: l + c + s + (n - 1) * max(l + c, c + s).

    Args:
        tiles: Number of tiles, n.
        weights: Clocks to load the weights of one tile.
        inputs: Clocks to load its inputs; at the same time as the weights unless there is one port for everything.
        compute: Clocks to compute it.
        outputs: Clocks to store it.
        setup: Clocks to set up its loads.
        double: Whether buffers have two halves.
        ports: See `nasplug_npu.NPUConfig`.
    """
    load = (weights + inputs if ports == "shared" else np.maximum(weights, inputs)) + setup
    once = load + compute + outputs
    if not double:
        return once + (tiles - 1) * (compute + np.maximum(load, outputs))
    slowest = np.maximum(compute, np.maximum(load, outputs))
    if ports == "shared":
        slowest = np.maximum(slowest, load + outputs)
    elif ports == "act_shared":
        slowest = np.maximum(slowest, inputs + setup + outputs)
    return once + (tiles - 1) * slowest


class Loads(NamedTuple):
    """What tiles load: the first one, some that begin a group or a band, and all others, in clocks.

    Weights that stay for the bands of a group come with the first of these, and rows of inputs that stay for the groups
    of a band with the first of those; the first tile of all also loads the rows that its windows share with the next
    band. So the first load is the longest one, and nothing can be computed before it has come.

    Attributes:
        heads: Number of tiles, the first one included, that begin a group or a band.
        first: Weights and inputs of the first tile.
        head: Weights and inputs of the others of these tiles.
        rest: Weights and inputs of all other tiles.
        setup: Clocks to set up the loads of tiles that begin a group or a band.
        rest_setup: Clocks to set up those of others.
    """

    heads: Array
    first: tuple[Array, Array]
    head: tuple[Array, Array]
    rest: tuple[Array, Array]
    setup: Any
    rest_setup: Any


def uneven_cycles(tiles: Any, loads: Loads, compute: Any, outputs: Any, *, double: bool, ports: str) -> Array:
    """Clocks for tiles that are computed and stored alike, but do not load alike.

    With two halves of every buffer and loads l1, l2, ... the recursion of `nasplug_npu.events` gives
    l1 + c + s + the sum over the others of max(l, c, s), where every s is the same: tile i is loaded from when tile i-2
    has been computed, so that a load longer than c keeps the array waiting for the difference, and no tile makes up for
    it. With one half it is l1 + c + s + the sum of c + max(l, s). Equal loads give `pipeline_cycles`.

    Args:
        tiles: Number of tiles, n.
        loads: Loads of the tiles.
        compute: Clocks to compute a tile.
        outputs: Clocks to store it.
        double: Whether buffers have two halves.
        ports: See `nasplug_npu.NPUConfig`.
    """

    def of(part: tuple[Array, Array], setup: Any) -> tuple[Array, Array]:
        """Clocks of a load, and of what one tile keeps the port busy that it goes through with stores."""
        weights, inputs = part
        load = (weights + inputs if ports == "shared" else np.maximum(weights, inputs)) + setup
        if not double:
            return load, compute + np.maximum(load, outputs)
        slowest = np.maximum(compute, np.maximum(load, outputs))
        if ports == "shared":
            slowest = np.maximum(slowest, load + outputs)
        elif ports == "act_shared":
            slowest = np.maximum(slowest, inputs + setup + outputs)
        return load, slowest

    first, _ = of(loads.first, loads.setup)
    found = first + compute + outputs + (loads.heads - 1) * of(loads.head, loads.setup)[1]
    return np.asarray(found + (tiles - loads.heads) * of(loads.rest, loads.rest_setup)[1])
