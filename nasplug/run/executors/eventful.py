"""What executors with processes have in common: events of an engine become results of trials and work."""

from __future__ import annotations

from typing import Protocol

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Failure, Measurement
from nasplug.ledger.work import Outcome
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.pool import Event
from nasplug.run.jobs import Done, Job, Progress
from nasplug.run.worker import Emit


class Engine(Protocol):
    """Runs jobs in processes; `Pool` on this machine and `Crew` elsewhere."""

    def submit(self, key: int | str, payload: Job, time_limit: float | None = None) -> None:
        """Takes a job."""

    def events(self) -> list[Event]:
        """Waits until something happened to a job, and returns it."""

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers."""


class EventfulExecutor:
    """Base class of executors whose engine tells events; give `engine(launch)`.

    Attributes:
        worker: Noun for what runs a job, for messages.
    """

    #: Whether jobs run in processes of their own, which can be ended.
    separate = True
    worker = "worker"

    def __init__(self) -> None:
        self._jobs: dict[int | str, Job] = {}
        self._measured: dict[int | str, dict[tuple[str, int], Measurement]] = {}
        self._engine: Engine | None = None
        self._emit: Emit | None = None
        self._limit: float | None = None

    def engine(self, launch: Launch) -> Engine:
        """Returns the engine of a run, ready for jobs."""
        raise NotImplementedError("give engine(launch)")

    def start(self, launch: Launch) -> None:
        """Makes the engine.

        Raises:
            SpecError: An object of a Python caller cannot be pickled, or the engine cannot do what is asked.
        """
        self._emit = launch.emit
        self._limit = launch.assembly.spec.run.time_limit
        self._engine = self.engine(launch)

    def submit(self, job: Job) -> None:
        """Hands the job to the engine."""
        self._jobs[job.key] = job
        own = None if job.work is None else job.work.time_limit
        self._running.submit(job.key, job, self._limit if own is None else own)

    def finished(self) -> list[Done]:
        """Waits for at least one result, passing on meanwhile what running jobs say.

        Raises:
            NasplugError: What is nobody's candidate's fault: a broken plugin, a full disk.
        """
        done: list[Done] = []
        while not done:
            for event in self._running.events():
                if event.kind == "message":
                    self._hear(event.key, event.value)
                else:
                    done.append(self._result(event))
        return done

    def close(self, *, kill: bool = False) -> None:
        """Ends the workers."""
        if self._engine is not None:
            self._engine.close(kill=kill)

    def lost(self, value: object) -> Failure:
        """Returns the failure of a job whose worker died as often as it is tried.

        Args:
            value: Exit code or None, from a pool; number of tries and reason, from a crew.
        """
        if isinstance(value, tuple):
            tries, reason = value
            kind = "oom" if "out of memory" in str(reason).lower() else "crash"
            return Failure(kind, f"its {self.worker} was lost {_times(tries)}; the last time: {reason}"[:2000])
        code = "unknown" if value is None else value
        hint = ", perhaps killed for using too much memory" if code in (-9, 137) else ""
        return Failure("crash", f"its {self.worker} died with exit code {code}{hint}, twice")

    @property
    def _running(self) -> Engine:
        if self._engine is None:
            raise StudyError("the executor was not started")
        return self._engine

    def _hear(self, key: int | str, message: Measurement | Progress) -> None:
        if isinstance(message, Measurement):  # of two tries, the later one counts
            self._measured.setdefault(key, {})[message.stage, message.step] = message
        if self._emit is not None:
            self._emit(key, message)

    def _result(self, event: Event) -> Done:
        job, measured = self._jobs.pop(event.key), self._measured.pop(event.key, {})
        if event.kind == "done":
            if isinstance(event.value, BaseException):
                raise event.value
            result: Done = event.value
            return result
        if event.kind == "timeout":
            whose = "its own" if job.work is not None and job.work.time_limit is not None else "run.time_limit"
            lost = Failure("timeout", f"ran longer than the time limit of {event.value:g} s ({whose})")
        else:
            lost = self.lost(event.value)
        if job.trial is None:
            return Outcome(str(job.key), None, lost)
        return job.trial.with_(state="failed", failure=lost, measurements=tuple(measured.values()))


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
