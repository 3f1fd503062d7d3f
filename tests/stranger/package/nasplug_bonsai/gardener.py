"""One thread beside the driver."""

from __future__ import annotations

import queue
import threading
from typing import Any

from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job
from nasplug.run.worker import Worker


class Gardener:
    """Runs jobs one after the other in a thread, so that global random numbers stay those of one trial."""

    separate = False

    def start(self, launch: Launch) -> None:
        """Makes the thread."""
        self._emit = launch.emit
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        assembly = launch.assembly
        self._worker = Worker(assembly, launch.folder, keeps_checkpoints=assembly.keeps_checkpoints)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queues a job."""
        self._jobs.put(job)

    def finished(self) -> list[Done]:
        """Waits for the next job to end; passes messages on meanwhile."""
        while True:
            kind, said = self._said.get()
            if kind == "error":
                raise said
            if kind == "done":
                return [said]
            self._emit(*said)

    def close(self, *, kill: bool = False) -> None:
        """Lets the thread end."""
        if hasattr(self, "_jobs"):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._said.put(("done", self._worker.run(job, lambda *message: self._said.put(("message", message)))))
            except BaseException as error:  # the driver says it
                self._said.put(("error", error))
