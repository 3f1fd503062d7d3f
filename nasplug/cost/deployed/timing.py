"""Times a loaded file in a process of its own, and what it takes of the memory; imports no torch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")


def measured(load: Callable[[], Callable[[], object]], *, repeats: int, warmup: int, max_seconds: float = 10.0) -> None:
    """Loads and runs a network, and prints the costs as `nasplug.cost.deployed.measuring` reads them.

    Args:
        load: Function that loads the network and returns what runs it once.
        repeats: Number of timed inferences.
        warmup: Number of inferences before them.
        max_seconds: Seconds after which no further inference starts, once three are timed.
    """
    before = resident("VmRSS")
    run = load()
    for _ in range(warmup):
        run()
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < repeats and (len(seconds) < 3 or time.perf_counter() - begin < max_seconds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    costs: dict[str, object] = {"latency_s": seconds}
    peak = resident("VmHWM")
    if before is not None and peak is not None:
        costs["peak_memory_bytes"] = max(0, peak - before)
    sys.stdout.write(f"\n{json.dumps(costs)}\n")


def resident(key: str) -> int | None:
    """Returns memory of this process in bytes; None where the system does not say it.

    Args:
        key: Name in Linux' status of a process: `VmRSS` now, `VmHWM` at its highest.
    """
    if not _STATUS.is_file():
        return None
    for line in _STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    return None
