"""Which GPUs a worker gets: executors give them out, so that two trials do not meet on one by accident."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural


@dataclass(frozen=True, slots=True)
class Grant:
    """What one worker gets.

    Attributes:
        device: Device as trials name it: `cpu`, `cuda:1`, or several as `cuda:2,3`.
        share: Part of the memory of its GPU, for workers that share one; 1 for all of it.
    """

    device: str
    share: float = 1.0

    def enforce(self) -> None:
        """Keeps this process within its part, so that a trial that needs more fails and not its neighbour."""
        torch = sys.modules.get("torch")
        if self.share < 1 and torch is not None:
            torch.cuda.set_per_process_memory_fraction(self.share, int(self.device.partition(":")[2]))


def grant(worker: int, workers: int, device: str, gpus: float | None, found: int) -> Grant:
    """Returns what one of several workers gets.

    Args:
        worker: Index of the worker.
        workers: Number of workers.
        device: Device as the specification names it: `cpu`, `cuda`, `cuda:1` or `auto`.
        gpus: Part of a GPU for each, or several; None shares those that there are evenly.
        found: Number of GPUs.

    Raises:
        SpecError: There are not enough GPUs.
    """
    if device == "cuda" and not found and gpus:
        raise SpecError(
            f"a trial asks for {_gpus(gpus)}, and this machine has none",
            where="run.gpus",
            fix="leave run.gpus out and use device: cpu or auto, or run where there are GPUs and a CUDA build of torch",
        )
    if device not in ("cuda", "auto") or not found:
        return Grant(device)
    if gpus is None:
        beside = len(range(worker % found, workers, found))  # workers on the same GPU
        return Grant(f"cuda:{worker % found}", 1 / max(1, beside))
    if gpus <= 0:
        return Grant("cpu")
    if gpus > 1:
        return _several(worker, workers, gpus, found)
    each = int(1 / gpus + 1e-9)  # workers that share one GPU
    if workers > each * found:
        raise _too_few(workers, gpus, found, each * found)
    return Grant(f"cuda:{worker // each}", gpus if each > 1 else 1.0)


def _several(worker: int, workers: int, gpus: float, found: int) -> Grant:
    if gpus != int(gpus):
        raise SpecError(
            f"a trial gets whole GPUs or a part of one, not {gpus:g}", where="run.gpus", fix="give 0.5, 1, 2, ..."
        )
    each = int(gpus)
    if workers * each > found:
        raise _too_few(workers, gpus, found, found // each)
    return Grant("cuda:" + ",".join(str(worker * each + position) for position in range(each)))


def _too_few(workers: int, gpus: float, found: int, possible: int) -> SpecError:
    fix = f"use at most {plural(possible, 'worker')}, or a smaller part" if possible else f"use at most {_gpus(found)}"
    return SpecError(
        f"{plural(workers, 'worker')} with {_gpus(gpus)} each exceed the {found} available", where="run.gpus", fix=fix
    )


def _gpus(count: float) -> str:
    return plural(int(count), "GPU") if count == int(count) else f"{count:g} GPUs"


def usable(found: int, wanted: int | None) -> int:
    """Returns how many of the GPUs of this machine are given out.

    Args:
        found: Number of GPUs.
        wanted: Number that the executor may use; None for all.

    Raises:
        SpecError: There are fewer.
    """
    if wanted is None:
        return found
    if wanted > found:
        raise SpecError(
            f"{_gpus(wanted)} are to be given out, and this machine has {found or 'none'}",
            where="run.executor: process, gpus",
            fix="name fewer, or leave it out to use those that there are; they need a CUDA build of torch",
        )
    return wanted
