"""An executor from outside the core: threads of this process."""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor

import nasplug as nas
from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job
from nasplug.run.worker import Worker

NASPLUG_CONTRACT = "2.0"


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    catalog.executor("threads", f"{__name__}:Threads", summary="Threads of this process.")
    catalog.executor("deaf", f"{__name__}:Deaf", summary="Lacks a method.")


class Threads:
    """Threads of this process, for evaluators that draw from no global generator.

    Args:
        name: Prefix of the threads' names.
    """

    separate = False

    def __init__(self, name: str = "nasplug") -> None:
        self.name = name
        self._said: queue.SimpleQueue = queue.SimpleQueue()

    def start(self, launch: Launch) -> None:
        """Starts as many threads as the run has workers."""
        self._emit = launch.emit
        self._worker = Worker(launch.assembly, launch.folder, keeps_checkpoints=launch.assembly.keeps_checkpoints)
        self._pool = ThreadPoolExecutor(launch.workers, thread_name_prefix=self.name)

    def submit(self, job: Job) -> None:
        """Hands a job to the next free thread."""
        future = self._pool.submit(self._worker.run, job, lambda key, message: self._said.put((key, message)))
        future.add_done_callback(self._said.put)

    def finished(self) -> list[Done]:
        """Waits for a result, and passes on in the driver's thread what running jobs say."""
        while True:
            said = self._said.get()
            if isinstance(said, Future):
                return [said.result()]
            self._emit(*said)

    def close(self, *, kill: bool = False) -> None:
        """Ends the threads; those that run cannot be stopped in the middle."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Deaf:
    """Takes jobs, and has no word for those that are finished."""

    separate = False

    def start(self, launch: Launch) -> None:
        """Does nothing."""

    def submit(self, job: Job) -> None:
        """Does nothing."""

    def close(self, *, kill: bool = False) -> None:
        """Does nothing."""
