"""Trials in worker processes, which may die without taking the study along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasplug.contract.records import Failure, Measurement, Trial
from nasplug.run.assemble import Assembly
from nasplug.run.executors.bootstrap import Bootstrap, Serve
from nasplug.run.executors.pool import Event, Pool
from nasplug.run.processes import context
from nasplug.run.worker import Emit, Job


class ProcessExecutor:
    """Reused worker processes, one trial each at a time.

    A trial whose process dies, for whatever reason and with whatever exit code, is tried once more with nothing beside
    it; dying again, or exceeding the time limit, fails the trial and nobody else's.

    Args:
        assembly: The driver's assembly; workers make their own from its specification.
        folder: Folder of artifacts.
        emit: Called in the driver with live measurements.
        objects: Ready-made objects of Python callers; pickled to the workers.

    Raises:
        SpecError: An object cannot be pickled.
    """

    def __init__(self, assembly: Assembly, folder: Path, emit: Emit, objects: Mapping[str, Any] | None = None) -> None:
        spec = assembly.spec
        self._emit, self._limit = emit, spec.run.time_limit
        self._trials: dict[int, Trial] = {}
        self._measured: dict[int, list[Measurement]] = {}
        serve = Serve(Bootstrap.of(assembly, folder, objects or {}))
        self._pool = Pool(spec.run.workers, serve, context(), spec.run.time_limit)

    def submit(self, job: Job) -> None:
        """Hands the job to the pool."""
        self._trials[job.trial.number] = job.trial
        self._pool.submit(job.trial.number, job)

    def finished(self) -> list[Trial]:
        """Waits for at least one result, passing live measurements on meanwhile.

        Raises:
            NasplugError: What is nobody's candidate's fault: a broken plugin, a full disk.
        """
        done: list[Trial] = []
        while not done:
            for event in self._pool.events():
                if event.kind == "message":
                    self._measured.setdefault(event.key, []).append(event.value)
                    self._emit(event.key, event.value)
                else:
                    done.append(self._result(event))
        return done

    def close(self, *, kill: bool = False) -> None:
        """Ends the workers."""
        self._pool.close(kill=kill)

    def _result(self, event: Event) -> Trial:
        trial, measured = self._trials.pop(event.key), self._measured.pop(event.key, [])
        if event.kind == "timeout":
            return _lost(
                trial, "timeout", f"ran longer than the time limit of {self._limit:g} s (run.time_limit)", measured
            )
        if event.kind == "died":
            code = "unknown" if event.value is None else event.value
            hint = ", perhaps killed for using too much memory" if code in (-9, 137) else ""
            return _lost(trial, "crash", f"its worker process died with exit code {code}{hint}, twice", measured)
        if isinstance(event.value, BaseException):
            raise event.value
        result: Trial = event.value
        return result


def _lost(trial: Trial, kind: str, message: str, measured: list[Measurement]) -> Trial:
    """The failed trial with what it had measured; of two tries, the later one counts."""
    last: dict[int, Measurement] = {measurement.step: measurement for measurement in measured}
    return trial.with_(state="failed", failure=Failure(kind, message), measurements=tuple(last.values()))
