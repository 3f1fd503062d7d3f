"""Threads of the driver's process."""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job
from nasplug.run.worker import Worker


class Template:
    """Threads of this process, for evaluators that draw from no global generator and mostly wait.

    Processes elsewhere, such as those of a cluster, become workers with `launch.bootstrap()`: plain data, sent in
    whatever way; `bootstrap.worker(index)` there gives a worker, whose `run(job, emit)` returns what `finished` hands
    over.
    """

    #: A thread cannot be ended, so that no time limit can be kept.
    separate = False

    def start(self, launch: Launch) -> None:
        """Gets ready for jobs of a run."""
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._emit = launch.emit
        assembly = launch.assembly
        self._worker = Worker(assembly, launch.folder, keeps_checkpoints=assembly.keeps_checkpoints)
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(launch.workers)

    def submit(self, job: Job) -> None:
        """Hands a job to a thread that is free, or becomes free."""
        assert self._pool is not None
        future = self._pool.submit(self._worker.run, job, lambda key, message: self._said.put((key, message)))
        future.add_done_callback(self._said.put)

    def finished(self) -> list[Done]:
        """Waits for a job to end, and passes on what running jobs say; in the driver's thread."""
        while True:
            said = self._said.get()
            if isinstance(said, Future):
                return [said.result()]
            self._emit(*said)

    def close(self, *, kill: bool = False) -> None:
        """Ends all threads once their jobs have ended; may be called without `start`, and twice."""
        if getattr(self, "_pool", None) is not None:
            self._pool.shutdown(cancel_futures=True)  # type: ignore[union-attr]
            self._pool = None
