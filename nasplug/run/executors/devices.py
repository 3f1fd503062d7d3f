"""Which GPU a worker gets: executors give them out, so that two trials do not meet on one by accident."""

from __future__ import annotations

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural


def device_of(worker: int, workers: int, device: str, gpus: float | None, found: int) -> str:
    """Returns the device of one of several workers.

    Args:
        worker: Index of the worker.
        workers: Number of workers.
        device: Device as the specification names it: `cpu`, `cuda`, `cuda:1` or `auto`.
        gpus: Part of a GPU for each; None shares those that there are evenly.
        found: Number of GPUs.

    Raises:
        SpecError: There are not enough GPUs.
    """
    if device not in ("cuda", "auto") or not found:
        return device
    if gpus is None:
        return f"cuda:{worker % found}"
    if gpus > 1:
        raise SpecError(f"a trial trains on one GPU, not on {gpus:g}", where="run.gpus", fix="give at most 1")
    if gpus <= 0:
        return "cpu"
    each = int(1 / gpus + 1e-9)  # workers that share one GPU
    if workers > each * found:
        raise SpecError(
            f"{plural(workers, 'worker')} with {gpus:g} GPUs each exceed the {found} available",
            where="run.gpus",
            fix=f"use at most {plural(each * found, 'worker')}, or a smaller part",
        )
    return f"cuda:{worker // each}"
