"""Worker processes: jobs go out, messages come back, and every end of a process is noticed, whatever its exit code.

A worker is a process group of its own: when it ends, so do the processes that its job started. Each has its own pipe,
so that one killed in the middle of a message harms nobody else, and a thread that listens to it.

A job whose process dies is tried once more, alone: in a fresh process with nothing running beside it, so that neither a
neighbour that took all the memory nor a thread that an earlier job left behind decides whether it fails.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Literal

from nasplug.contract.errors import PluginError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess


#: Seconds between looks at time limits and at processes that ended without a word.
POLL = 0.2
#: How often in a row a worker may end before it is ready, until the reason must be its surroundings.
STARTS = 3

Target = Callable[[Connection, int], None]


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a job.

    Attributes:
        key: Key that the job was submitted with.
        kind: `message` while it runs, then one of `done`, `died` and `timeout`.
        value: The message, the result, the exit code (None if it is unknown), or the time limit.
    """

    key: int | str
    kind: Literal["message", "done", "died", "timeout"]
    value: Any = None


@dataclass(slots=True)
class _Job:
    key: int | str
    payload: object
    limit: float | None = None
    tries: int = 0


@dataclass(slots=True)
class _Worker:
    index: int
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    served: bool = False
    job: _Job | None = None
    deadline: float | None = None
    dead_since: float | None = None


class Pool:
    """A fixed number of worker processes, started as they are needed.

    A worker runs `target(pipe, index)`: it sends `("ready", None)` once, then for every payload that it receives any
    number of `("message", value)` and one `("done", value)`. None in the place of a payload asks it to end.

    Args:
        workers: Number of processes.
        target: Function that a worker process runs; importable.
        context: Multiprocessing context that starts the processes.

    Raises:
        PluginError: Workers end before they are ready.
    """

    def __init__(self, workers: int, target: Target, context: ForkServerContext | SpawnContext) -> None:
        self._target, self._context = target, context
        self._slots: list[_Worker | None] = [None] * workers
        self._jobs: deque[_Job] = deque()
        self._again: deque[_Job] = deque()
        self._inbox: queue.SimpleQueue[tuple[_Worker, str, object]] = queue.SimpleQueue()
        self._failed_starts = 0

    def submit(self, key: int | str, payload: object, time_limit: float | None = None) -> None:
        """Takes a job; it starts when a worker is free, in order of submission.

        Args:
            key: Name that events of this job carry.
            payload: Any object that can be pickled.
            time_limit: Seconds that the job may take once a worker has it.
        """
        self._jobs.append(_Job(key, payload, time_limit))
        self._schedule()

    def events(self) -> list[Event]:
        """Waits until something happened to a job, and returns it.

        Raises:
            PluginError: Worker processes end before they are ready, `STARTS` times in a row.
        """
        while True:
            found: list[Event] = []
            with contextlib.suppress(queue.Empty):
                found += self._take(*self._inbox.get(timeout=POLL))
                while True:
                    found += self._take(*self._inbox.get_nowait())
            found += self._overdue()
            self._schedule()
            if found:
                return found

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers; with `kill`, at once and in the middle of their jobs."""
        workers = [worker for worker in self._slots if worker is not None]
        for worker in workers:
            if not kill and worker.job is None:
                with contextlib.suppress(OSError, ValueError):
                    worker.pipe.send(None)
        deadline = time.monotonic() + (0 if kill else 5)
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            _end(worker)
        self._slots = [None] * len(self._slots)
        self._jobs.clear()
        self._again.clear()

    # -- out -----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Gives jobs to free workers. One that is tried again waits until all others are idle, and keeps them so."""
        busy = sum(worker is not None and worker.job is not None for worker in self._slots)
        alone = any(worker is not None and worker.job is not None and worker.job.tries for worker in self._slots)
        for index in range(len(self._slots)):
            if alone or (self._again and busy):
                return
            source = self._again or self._jobs
            if not source:
                return
            worker = self._slots[index]
            if worker is not None and self._again and worker.served:
                _end(worker)  # a thread of an earlier job may be what ended the one that is tried again
                worker = None
            worker = worker or self._start(index)
            if not worker.ready or worker.job is not None:
                continue
            job = source.popleft()
            alone, busy = bool(job.tries), busy + 1
            worker.job, worker.served = job, True
            worker.deadline = None if job.limit is None else time.monotonic() + job.limit
            with contextlib.suppress(OSError):  # it died just now, and its listener is about to say so
                worker.pipe.send(job.payload)

    def _start(self, index: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=self._target, args=(theirs, index), daemon=False)
        process.start()
        theirs.close()
        worker = _Worker(index, process, ours)
        self._slots[index] = worker
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    # -- in ------------------------------------------------------------------------------------------------------

    def _listen(self, worker: _Worker) -> None:
        sentinel = worker.process.sentinel
        while True:
            try:
                if worker.pipe not in wait([worker.pipe, sentinel]):
                    break
                kind, value = worker.pipe.recv()
            except Exception:  # the end of the pipe, or a message that was cut off or cannot be read
                break
            self._inbox.put((worker, kind, value))
        self._inbox.put((worker, "ended", None))

    def _take(self, worker: _Worker, kind: str, value: object) -> list[Event]:
        if self._slots[worker.index] is not worker:
            return []  # said before it was ended
        if kind == "ended":
            return self._lose(worker)
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
            return []
        job = worker.job
        if job is None:
            return []
        if kind == "done":
            worker.job = worker.deadline = None
            return [Event(job.key, "done", value)]
        return [Event(job.key, "message", value)]

    def _lose(self, worker: _Worker) -> list[Event]:
        """Takes leave of a worker that ended, or whose pipe is of no more use."""
        self._slots[worker.index] = None
        worker.process.join(1.0)
        code = worker.process.exitcode
        _end(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise PluginError(
                    "worker processes end before they are ready",
                    where="run.executor",
                    why=f"the last one with exit code {code}; what it printed is above",
                    fix="start the search below `if __name__ == '__main__':`, as every worker imports the program; for "
                    "any other reason, run the same search with executor inline, which shows it",
                )
        job = worker.job
        if job is None:
            return []
        job.tries += 1
        if job.tries == 1:
            self._again.append(job)
            return []
        return [Event(job.key, "died", code)]

    def _overdue(self) -> list[Event]:
        now = time.monotonic()
        found = []
        for worker in self._slots:
            if worker is None:
                continue
            if worker.job is not None and worker.deadline is not None and now > worker.deadline:
                self._slots[worker.index] = None
                found.append(Event(worker.job.key, "timeout", worker.job.limit))
                _end(worker)
            elif not worker.process.is_alive():
                # Processes that it left behind may hold its pipe open, so that the listener waits for nothing.
                worker.dead_since = worker.dead_since or now
                if now - worker.dead_since > 10 * POLL:
                    found += self._lose(worker)
        return found


def _end(worker: _Worker) -> None:
    """Ends a worker with everything that it started."""
    if hasattr(os, "killpg") and worker.process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.kill()
    worker.process.join(5)
    with contextlib.suppress(OSError):
        worker.pipe.close()
