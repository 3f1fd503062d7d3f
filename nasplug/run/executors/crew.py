"""Workers on machines that may be lost: who gets which job, what is tried again, and what has failed.

The pool of worker processes (`pool.py`) owns its processes and runs a job that lost its process again alone. On a
cluster neither holds: workers come and go by the will of others, and a cluster is not emptied for one trial. A crew
decides; `Hands` do it, one kind for every engine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nasplug.contract.errors import PluginError
from nasplug.run.executors.pool import STARTS, Event
from nasplug.run.jobs import Job

#: Seconds between looks at time limits.
POLL = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """What became known of a worker.

    Attributes:
        worker: Identity that `Hands.start` gave it.
        kind: `ready` once; then `message` and `done` of the job that it has; `lost` at any time, as its last report.
        value: Message, result, or reason of the loss.
    """

    worker: int
    kind: Literal["ready", "message", "done", "lost"]
    value: object = None


class Hands(Protocol):
    """An engine that starts and ends workers and carries messages; decides nothing."""

    def start(self) -> int:
        """Begins to start a worker and returns its identity, which is never used again."""

    def claim(self, job: Job) -> int | None:
        """Returns the worker that has this job already, of a driver that died, and will report of it; usually None."""

    def send(self, worker: int, job: Job) -> None:
        """Gives a job to a worker that is ready and has none."""

    def poll(self, seconds: float) -> Sequence[Report]:
        """Waits until something is known, at most so many seconds, and returns it in order."""

    def end(self, worker: int) -> None:
        """Ends a worker at once; nothing is reported of it any more."""

    def close(self, *, kill: bool) -> None:
        """Ends all workers, and what the engine itself started."""


@dataclass(slots=True)
class _Task:
    key: int | str
    job: Job
    limit: float | None
    tries: int = 0


@dataclass(slots=True)
class _Member:
    ready: bool = False
    task: _Task | None = None
    deadline: float | None = None
    last: bool = False


class Crew:
    """Gives jobs to workers, one each at a time, in order of submission; all others wait here, in the driver.

    Args:
        hands: Engine of the workers.
        workers: Number of workers.
        retries: Number of times that a job is tried again after its worker was lost.
    """

    def __init__(self, hands: Hands, workers: int, *, retries: int = 1) -> None:
        self._hands, self._workers, self._retries = hands, workers, retries
        self._members: dict[int, _Member] = {}
        self._idle: dict[int, None] = {}
        self._waiting: deque[_Task] = deque()
        self._failed_starts = 0

    def submit(self, key: int | str, payload: Job, time_limit: float | None = None) -> None:
        """Takes a job; it starts when a worker is free.

        Args:
            key: Name that events of this job carry.
            payload: Job to run.
            time_limit: Seconds that the job may take once a worker has it.
        """
        task = _Task(key, payload, time_limit)
        claimed = self._hands.claim(payload)
        if claimed is None:
            self._waiting.append(task)
        else:  # it ends with this job, as it was set up by another driver
            self._members[claimed] = _Member(True, task, _deadline(task), last=True)
        self._schedule()

    def events(self) -> list[Event]:
        """Waits until something happened to a job, and returns it.

        Raises:
            PluginError: Workers are lost before they are ready, `STARTS` times in a row.
        """
        while True:
            self._schedule()
            found = [event for report in self._hands.poll(POLL) for event in self._take(report)]
            found += self._overdue()
            if found:
                self._schedule()
                return found

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers; with `kill`, at once and in the middle of their jobs."""
        self._waiting.clear()
        self._members.clear()
        self._idle.clear()
        self._hands.close(kill=kill)

    def _schedule(self) -> None:
        """Gives jobs to free workers, and starts as many as there are jobs that no worker will take."""
        while self._idle and self._waiting:
            identity = next(iter(self._idle))
            del self._idle[identity]
            member, task = self._members[identity], self._waiting.popleft()
            member.task, member.deadline = task, _deadline(task)
            self._hands.send(identity, task.job)
        if not self._waiting or len(self._members) >= self._workers:
            return
        starting = sum(not member.ready for member in self._members.values())
        for _ in range(min(len(self._waiting) - starting, self._workers - len(self._members))):
            self._members[self._hands.start()] = _Member()

    def _take(self, report: Report) -> list[Event]:
        member = self._members.get(report.worker)
        if member is None:
            return []
        if report.kind == "ready":
            member.ready, self._failed_starts = True, 0
            self._idle[report.worker] = None
            return []
        if report.kind == "lost":
            return self._lose(report.worker, str(report.value))
        task = member.task
        if task is None:
            return []
        if report.kind == "done":
            member.task = member.deadline = None
            if member.last:
                del self._members[report.worker]
                self._hands.end(report.worker)
            else:
                self._idle[report.worker] = None
            return [Event(task.key, "done", report.value)]
        return [Event(task.key, "message", report.value)]

    def _lose(self, identity: int, reason: str) -> list[Event]:
        member = self._members.pop(identity)
        self._idle.pop(identity, None)
        if not member.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise PluginError(
                    "workers are lost before they are ready",
                    where="run.executor",
                    why=f"{STARTS} in a row; the last one: {reason}",
                    fix="run the same search with executor inline, which shows what is wrong with the search; for any "
                    "other reason, look at the logs of the engine",
                )
        task = member.task
        if task is None:
            return []
        task.tries += 1
        if task.tries <= self._retries:
            self._waiting.appendleft(task)
            return []
        return [Event(task.key, "died", (task.tries, reason))]

    def _overdue(self) -> list[Event]:
        now = time.monotonic()
        found = []
        for identity, member in list(self._members.items()):
            if member.task is not None and member.deadline is not None and now > member.deadline:
                del self._members[identity]
                found.append(Event(member.task.key, "timeout", member.task.limit))
                self._hands.end(identity)
        return found


def _deadline(task: _Task) -> float | None:
    return None if task.limit is None else time.monotonic() + task.limit
