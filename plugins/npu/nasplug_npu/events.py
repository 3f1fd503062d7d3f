"""A small event-level model of tiles in a pipeline: the reference for the closed forms, and for uneven tiles.

Every tile is loaded, computed and stored. With B halves of a buffer, a tile is loaded when the load before it is done
and the tile B before it has been computed, and computed when it is loaded, the computation before it is done and the
tile B before it has been stored. All ends are maxima of sums, so that the whole is a recursion in max-plus algebra.

It knows tiles of any unit that the model describes, and neither instructions nor numbers. Events and outputs of
compiled programs, to the clock and to the bit, are what `nasplug_npu.machine.functional` is for, on the units that can
be built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """When tiles are loaded, computed and stored, in clocks, (tiles,) each.

    Attributes:
        load, compute, store: Ends.
        durations: Clocks of each, (3, tiles).
    """

    load: Array
    compute: Array
    store: Array
    durations: Array

    @property
    def cycles(self) -> float:
        """When everything is stored."""
        return float(self.store[-1]) if len(self.store) else 0.0

    def trace(self, name: str, freq_hz: float, start: float = 0.0) -> list[dict[str, Any]]:
        """Events in the format of Chrome's trace viewer (`chrome://tracing`), times in microseconds.

        Args:
            name: Name of the layer.
            freq_hz: Clock.
            start: Clock at which the layer begins.
        """
        scale = 1e6 / freq_hz
        events = []
        for thread, (kind, ends) in enumerate(zip(_KINDS, (self.load, self.compute, self.store), strict=True)):
            for number, (end, duration) in enumerate(zip(ends, self.durations[thread], strict=True)):
                if duration > 0:
                    events.append(
                        {
                            "name": f"{name} {kind} {number}",
                            "ph": "X",
                            "pid": 0,
                            "tid": kind,
                            "ts": (start + float(end - duration)) * scale,
                            "dur": float(duration) * scale,
                        }
                    )
        return events


_KINDS = ("load", "compute", "store")


def simulate(
    load: Sequence[float] | Array,
    compute: Sequence[float] | Array,
    store: Sequence[float] | Array,
    *,
    buffers: int = 2,
    shared_port: bool = False,
) -> Schedule:
    """Runs tiles through the pipeline.

    Args:
        load: Clocks to load each tile.
        compute: Clocks to compute it.
        store: Clocks to store it.
        buffers: Halves of a buffer; 1 means that nothing is loaded while a tile is computed.
        shared_port: Whether loads and stores go through one port, in the order in which they become possible; loads
            first where both are.

    Raises:
        DataError: The lengths differ, or a duration is negative.
    """
    durations = [np.asarray(part, dtype=np.float64) for part in (load, compute, store)]
    if len({len(part) for part in durations}) != 1 or any((part < 0).any() for part in durations):
        raise DataError("tiles need one duration each to load, compute and store", where="simulate")
    loading, computing, storing = durations
    tiles = len(loading)
    loaded, computed, stored = np.zeros(tiles), np.zeros(tiles), np.zeros(tiles)

    def end(ends: Array, tile: int) -> float:
        return float(ends[tile]) if tile >= 0 else 0.0

    if not shared_port:
        for i in range(tiles):
            loaded[i] = max(end(loaded, i - 1), end(computed, i - buffers)) + loading[i]
            computed[i] = max(loaded[i], end(computed, i - 1), end(stored, i - buffers)) + computing[i]
            stored[i] = max(computed[i], end(stored, i - 1)) + storing[i]
        return Schedule(loaded, computed, stored, np.stack(durations))
    free = 0.0
    next_load = next_store = 0
    while next_store < tiles:
        # A load waits for the buffer half of an earlier tile, a store for its own tile; computing needs no port.
        can_load = np.inf
        if next_load < tiles and next_load - buffers < _done(next_load, next_store, buffers):
            can_load = max(free, end(computed, next_load - buffers))
        can_store = max(free, computed[next_store]) if next_store < next_load else np.inf
        if can_load <= can_store:
            free = loaded[next_load] = can_load + loading[next_load]
            i = next_load
            next_load += 1
            if i - buffers < next_store:
                computed[i] = max(loaded[i], end(computed, i - 1), end(stored, i - buffers)) + computing[i]
        else:
            free = stored[next_store] = can_store + storing[next_store]
            next_store += 1
            i = next_store - 1 + buffers
            if i < next_load:
                computed[i] = max(loaded[i], end(computed, i - 1), stored[next_store - 1]) + computing[i]
    return Schedule(loaded, computed, stored, np.stack(durations))


def _done(next_load: int, next_store: int, buffers: int) -> int:
    """Tiles whose end of computation is known: those loaded whose output buffer is free."""
    return min(next_load, next_store + buffers)


def slowdown(mask: npt.ArrayLike, lanes: int, sync: int) -> float:
    """Measured share of dense time for the zeros that weights really have, to compare with the expected one.

    Args:
        mask: Mask of the weights that are not zero, (output channels, elements).
        lanes: Channels that wait for each other.
        sync: Elements between two barriers.
    """
    kept = np.asarray(mask, dtype=np.float64)
    channels, elements = kept.shape
    kept = np.pad(kept, ((0, -channels % lanes), (0, -elements % sync)))
    counts = kept.reshape(-1, lanes, kept.shape[1] // sync, sync).sum(axis=-1)
    dense = np.ceil(channels / lanes) * elements
    return float(counts.max(axis=1).sum() / dense)


def chrome_trace(layers: Iterable[tuple[str, Schedule]], freq_hz: float) -> list[dict[str, Any]]:
    """Events of several layers, one after the other."""
    events, start = [], 0.0
    for name, schedule in layers:
        events += schedule.trace(name, freq_hz, start)
        start += schedule.cycles
    return events
