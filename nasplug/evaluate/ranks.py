"""Several processes that train one trial together, one for each of its devices, as one of them sees it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

#: Seconds that processes wait for each other, in a meeting or in the exchange of gradients.
PATIENCE = 600.0


def devices_of(device: str) -> tuple[str, ...]:
    """Returns the devices of a trial, one name each.

    Args:
        device: Device as executors name it: `cpu`, `cuda:1`, `cuda:0,1` for two.
    """
    family, _, indices = device.partition(":")
    return tuple(f"{family}:{index}" for index in indices.split(",")) if indices else (device,)


@dataclass(frozen=True)
class Ranks:
    """The place of a process among those of a trial. Only the first one reports, writes files and answers.

    Attributes:
        rank: Index of this process, from 0.
        count: Number of processes; 1 for a trial that is trained in one.
        place: File through which the processes find each other; None in the first one, which makes it.
        call: Function by which the first process has the others come, given that file.
    """

    rank: int = 0
    count: int = 1
    place: Path | None = None
    call: Callable[[Path], None] | None = None

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    @contextmanager
    def together(self, backend: str) -> Iterator[None]:
        """Joins the processes of a trial in a process group of torch; does nothing where there is only one.

        They meet through a file, so that trials side by side cannot take each other's port.

        Args:
            backend: Backend of `torch.distributed`: `gloo` or `nccl`.
        """
        if not self.several:
            yield
            return
        from torch import distributed

        with tempfile.TemporaryDirectory(prefix="nasplug-ranks-") as folder:
            place = self.place or Path(folder) / "meeting"
            if self.call is not None:
                self.call(place)
            distributed.init_process_group(
                backend,
                init_method=f"file://{place}",
                rank=self.rank,
                world_size=self.count,
                timeout=timedelta(seconds=PATIENCE),
            )
            try:
                yield
                distributed.barrier()  # nobody leaves, and takes the file along, while others still need it
            finally:
                distributed.destroy_process_group()
