"""Trials on several devices: one process for each, of which the first answers.

A framework's own launchers start their processes from the command line of a program, which a worker does not have, or
run the first one of them inside the caller, which cannot be ended when another one is lost. So a worker whose trials
have several devices keeps a gang: it trains nothing itself, watches all of them, and ends them together.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.contract.records import BASELINE, Failure, Measurement, Trial
from nasplug.evaluate.ranks import Ranks, devices_of
from nasplug.run.executors.bootstrap import Bootstrap, Place, detach
from nasplug.run.jobs import Done, Job, Message
from nasplug.run.processes import context, prepare
from nasplug.run.worker import Emit, Worker

#: Seconds that the others have to end after one has failed or finished, until they are ended.
GRACE = 5.0
#: Number of times that a trial is tried which loses a process.
TRIES = 2


class Runner(Protocol):
    """A worker, or a gang in its place."""

    def run(self, job: Job, emit: Emit | None = None) -> Done:
        """Runs a job."""

    def close(self) -> None:
        """Ends what it has started."""


def runner(worker: Worker, bootstrap: Callable[[], Bootstrap], index: int = 0, place: Place | None = None) -> Runner:
    """Returns the worker itself, or a gang if its trials have several devices and a process for each.

    Args:
        worker: Worker in this process.
        bootstrap: Function that returns how other processes become workers of the run.
        index: Index of the worker.
        place: Surroundings of a worker that an engine started; None beside the driver.
    """
    evaluator = worker.assembly.parts["evaluator"][0][1]
    devices = devices_of(worker.device)
    if len(devices) < 2 or not getattr(evaluator, "one_process_per_device", False):
        return worker
    return Gang(worker, bootstrap(), devices, index, place)


@dataclass(frozen=True)
class Rank:
    """What a process of a gang runs; can be sent to it.

    Attributes:
        bootstrap: Record that tells how to become a worker.
        index: Index of the worker that keeps the gang.
        place: Surroundings of that worker.
        rank: Index of this process.
        count: Number of processes.
    """

    bootstrap: Bootstrap
    index: int
    place: Place | None
    rank: int
    count: int

    def __call__(self, pipe: Connection) -> None:
        """Serves trials until its worker says so, or is gone."""
        detach()

        def call(place: Path) -> None:
            pipe.send(("call", place))

        def emit(key: int | str, message: Message) -> None:
            pipe.send(("message", message))

        worker: Worker | None = None
        while True:
            try:
                job, place = pipe.recv()
            except (EOFError, OSError):
                break
            answer: object
            try:
                if worker is None:
                    worker = self.bootstrap.worker(self.index, self.place)
                    worker.ranks = Ranks(self.rank, self.count, call=None if self.rank else call)
                answer = worker.run(job, emit) if place is None else worker.accompany(job, place)
            except NasplugError as error:
                answer = error
            except BaseException as error:
                answer = PluginError(f"a process of trial {job.key} broke", why=f"{type(error).__name__}: {error}")
            try:
                pipe.send(("done", (answer, time.monotonic())))
            except (OSError, ValueError):
                break
        os._exit(0)


@dataclass(slots=True)
class _Member:
    process: BaseProcess
    pipe: Connection
    busy: bool = False
    answer: object = None
    since: float = 0.0


@dataclass(slots=True)
class _Course:
    """What became known of one try of a trial."""

    job: Job
    emit: Emit | None
    measured: list[Measurement] = field(default_factory=list)
    lost: str | None = None


class Gang:
    """Runs trials in one process for each of their devices, and everything else in this one.

    Args:
        worker: Worker in this process.
        bootstrap: Record that tells how other processes become workers of the run.
        devices: Devices of a trial.
        index: Index of the worker.
        place: Surroundings of a worker that an engine started; None beside the driver.
    """

    def __init__(
        self, worker: Worker, bootstrap: Bootstrap, devices: tuple[str, ...], index: int, place: Place | None
    ) -> None:
        self._worker, self._devices = worker, devices
        self._ranks = [Rank(bootstrap, index, place, rank, len(devices)) for rank in range(len(devices))]
        self._members: list[_Member] = []

    def run(self, job: Job, emit: Emit | None = None) -> Done:
        """Runs a job; a trial that loses a process is tried once more with new ones.

        Raises:
            NasplugError: As for `Worker.run`.
        """
        if job.trial is None or job.rehearsal:
            return self._worker.run(job, emit)
        for _ in range(TRIES):
            course = _Course(job, emit)
            done = self._try(course)
            if done is not None:
                return done
        lost = Failure("crash", f"{course.lost}, {'twice' if TRIES == 2 else f'{TRIES} times'}")
        return job.trial.with_(state="failed", failure=lost, measurements=tuple(course.measured))

    def close(self) -> None:
        """Ends the processes, with everything that they started."""
        for member in self._members:
            if hasattr(os, "killpg") and member.process.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(member.process.pid, signal.SIGKILL)
            member.process.kill()
            member.process.join(5)
            member.pipe.close()
        self._members = []

    def _try(self, course: _Course) -> Done | None:
        """One try; None if a process was lost."""
        try:
            if not self._members:
                self._start()
            first = self._members[0]
            self._send(first, course.job, None)
            self._watch(course)
            if course.lost is not None:
                return None
            return self._answer(course)
        except BaseException:
            self.close()
            raise
        finally:
            if any(member.busy for member in self._members) or course.lost is not None:
                self.close()

    def _start(self) -> None:
        prepare(training=True)
        for rank in self._ranks:
            ours, theirs = context().Pipe()
            process = context().Process(target=rank, args=(theirs,), daemon=False)
            process.start()
            theirs.close()
            self._members.append(_Member(process, ours))

    def _send(self, member: _Member, job: Job, place: Path | None) -> None:
        member.busy, member.answer = True, None
        try:
            member.pipe.send((job, place))
        except OSError:  # it has died, which the look at it will say
            return

    def _watch(self, course: _Course) -> None:
        """Until all have answered, one is lost, or one has failed and the others do not end."""
        deadline: float | None = None
        while any(member.busy for member in self._members):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if left == 0.0:
                return
            sources = [source for one in self._members for source in (one.pipe, one.process.sentinel)]
            ready = wait(sources, left)
            for rank, member in enumerate(self._members):
                spoke = member.pipe in ready or member.process.sentinel in ready
                if spoke and not self._hear(course, member):
                    course.lost = self._death(rank, member)
                    return
            if deadline is None and any(not one.busy and one.answer is not None for one in self._members):
                deadline = time.monotonic() + GRACE

    def _hear(self, course: _Course, member: _Member) -> bool:
        """Takes what a process says; returns whether it lives."""
        try:
            if not member.pipe.poll():
                return False  # it has ended, and said nothing
            kind, value = member.pipe.recv()
        except (EOFError, OSError):
            return False
        if kind == "call":
            for other in self._members[1:]:
                self._send(other, course.job, value)
        elif kind == "message":
            if isinstance(value, Measurement):
                course.measured.append(value)
            if course.emit is not None:
                course.emit(course.job.key, value)
        else:
            member.busy = False
            member.answer, member.since = value
        return True

    def _death(self, rank: int, member: _Member) -> str:
        member.process.join(1.0)
        code = member.process.exitcode
        hint = ", perhaps killed for using too much memory" if code in (-9, 137) else ""
        which = f"the process of {self._devices[rank]} ({rank + 1} of {len(self._devices)})"
        return f"{which} died with exit code {code}{hint}"

    def _answer(self, course: _Course) -> Done:
        """The answer of the first process; where another one failed before it, with that failure."""
        trial = course.job.trial
        assert trial is not None
        first, others = self._members[0], self._members[1:]
        answer = first.answer
        told = getattr(getattr(answer, "failure", None), "message", None)
        broken = [
            one
            for one in others
            if isinstance(one.answer, (Failure, NasplugError)) and getattr(one.answer, "message", "") != told
        ]
        cause = min(broken, key=lambda one: one.since, default=None)
        fine = isinstance(answer, Trial) and answer.state != "failed"
        if cause is not None and (first.busy or fine or cause.since < first.since):
            if isinstance(cause.answer, NasplugError) and trial.number != BASELINE:
                raise cause.answer
            failure = cause.answer if isinstance(cause.answer, Failure) else Failure("error", str(cause.answer))
            place = self._devices[self._members.index(cause)]
            failure = Failure(failure.kind, f"on {place}: {failure.message}", failure.traceback, failure.plugin)
            known = answer if isinstance(answer, Trial) else trial.with_(measurements=tuple(course.measured))
            return known.with_(state="failed", failure=failure, artifacts={}, checksums={})
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Trial)
        return answer
