"""Trials in the driver's own process, one at a time."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from nasplug.contract.records import Trial
from nasplug.run.assemble import Assembly
from nasplug.run.worker import Emit, Job, Worker


class InlineExecutor:
    """One trial at a time in this process.

    Args:
        assembly: The driver's assembly.
        folder: Folder of artifacts; None for a temporary one.
        emit: Called with live measurements.
    """

    def __init__(self, assembly: Assembly, folder: Path | None, emit: Emit) -> None:
        self._worker = Worker(assembly, folder, keeps_checkpoints=assembly.keeps_checkpoints)
        self._jobs: deque[Job] = deque()
        self._emit = emit

    def submit(self, job: Job) -> None:
        """Queues the job."""
        self._jobs.append(job)

    def finished(self) -> list[Trial]:
        """Runs the oldest job."""
        return [self._worker.run(self._jobs.popleft(), self._emit)]

    def close(self, *, kill: bool = False) -> None:
        """Forgets what is queued."""
        self._jobs.clear()
