"""Jobs in worker processes, which may die without taking the study along."""

from __future__ import annotations

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Failure, Measurement
from nasplug.ledger.work import Outcome
from nasplug.run.executors.bootstrap import Serve
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.pool import Event, Pool
from nasplug.run.jobs import Done, Job, Progress
from nasplug.run.processes import context
from nasplug.run.worker import Emit


class ProcessExecutor:
    """Reused worker processes, one job each at a time.

    A job whose process dies, for whatever reason and with whatever exit code, is tried once more with nothing beside
    it; dying again, or exceeding the time limit, fails this job and no other.
    """

    #: Whether jobs run in processes of their own, which can be ended.
    separate = True

    def __init__(self) -> None:
        self._jobs: dict[int | str, Job] = {}
        self._measured: dict[int | str, dict[tuple[str, int], Measurement]] = {}
        self._pool: Pool | None = None
        self._emit: Emit | None = None
        self._limit: float | None = None

    def start(self, launch: Launch) -> None:
        """Packs what worker processes need; they start with the first job.

        Raises:
            SpecError: An object of a Python caller cannot be pickled.
        """
        self._emit = launch.emit
        self._limit = launch.assembly.spec.run.time_limit
        self._pool = Pool(launch.workers, Serve(launch.bootstrap()), context())

    def submit(self, job: Job) -> None:
        """Hands the job to the pool."""
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
        if self._pool is not None:
            self._pool.close(kill=kill)

    @property
    def _running(self) -> Pool:
        if self._pool is None:
            raise StudyError("the executor was not started")
        return self._pool

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
            code = "unknown" if event.value is None else event.value
            hint = ", perhaps killed for using too much memory" if code in (-9, 137) else ""
            lost = Failure("crash", f"its worker process died with exit code {code}{hint}, twice")
        if job.trial is None:
            return Outcome(str(job.key), None, lost)
        return job.trial.with_(state="failed", failure=lost, measurements=tuple(measured.values()))
