"""Jobs in the driver's own process, one at a time."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import deque

from nasplug.run.executors.devices import grant
from nasplug.run.executors.gang import Runner, runner
from nasplug.run.executors.launch import Launch
from nasplug.run.interruption import watching
from nasplug.run.jobs import Done, Job
from nasplug.run.spec import RunOptions
from nasplug.run.worker import Emit, Worker


class InlineExecutor:
    """One job at a time in this process: the easiest to debug, and the first to die with a candidate that crashes.

    Args:
        shuffle: Seed for running waiting jobs in a random order, several at once, as uneven workers would finish; for
            tests. None runs the oldest first.
    """

    #: Whether jobs run in processes of their own, which can be ended.
    separate = False

    def __init__(self, shuffle: int | None = None) -> None:
        self._rng = None if shuffle is None else random.Random(shuffle)
        self._jobs: deque[Job] = deque()
        self._worker: Runner | None = None
        self._emit: Emit | None = None
        self._open = contextlib.ExitStack()

    def start(self, launch: Launch) -> None:
        """Takes the driver's assembly as it is."""
        assembly = launch.assembly
        interruption = self._open.enter_context(watching())
        worker = Worker(
            assembly,
            launch.folder,
            keeps_checkpoints=assembly.keeps_checkpoints,
            device=_device(assembly.spec.run),
            interruption=interruption,
        )
        self._worker = runner(worker, launch.bootstrap)
        self._emit = launch.emit

    def submit(self, job: Job) -> None:
        """Queues the job."""
        self._jobs.append(job)

    def finished(self) -> list[Done]:
        """Runs the oldest job, or some in a random order."""
        assert self._worker is not None
        done = []
        for _ in range(1 if self._rng is None else self._rng.randint(1, len(self._jobs))):
            if self._rng is not None:
                self._jobs.rotate(self._rng.randrange(len(self._jobs)))
            done.append(self._worker.run(self._jobs.popleft(), self._emit))
        return done

    def close(self, *, kill: bool = False) -> None:
        """Forgets what is queued."""
        self._open.close()
        self._jobs.clear()
        if self._worker is not None:
            self._worker.close()


def _device(run: RunOptions) -> str:
    """The device that the specification names, or the first GPUs where a trial has several."""
    torch = sys.modules.get("torch")
    if torch is None or run.gpus is None or run.gpus <= 1 or run.device.startswith("cpu"):
        return run.device
    return grant(0, 1, run.device, run.gpus, torch.cuda.device_count()).device
