"""How long tiles take that are loaded, computed and stored at the same time: closed forms for equal tiles.

Every form is exact for equal tiles and separate ports; `nasplug_npu.events` has the recursion that tests them.
"""

from __future__ import annotations

from typing import Any

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
