"""Where trials run: in this process, or in worker processes that may die without taking the study along."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from pathlib import Path
from typing import Any, Protocol

from nasplug.errors import NasplugError, PluginError, SpecError
from nasplug.records import Failure, Measurement, Trial
from nasplug.run.compose import Assembly
from nasplug.run.processes import context, enter
from nasplug.run.spec import RunSpec
from nasplug.run.worker import Emit, Job, Worker

#: How often live measurements of worker processes are looked for, in seconds.
POLL = 0.2


class Executor(Protocol):
    """Runs jobs; knows nothing of strategies and storage."""

    def submit(self, job: Job) -> None:
        """Takes a job; it starts when a worker is free, in order of submission."""

    def finished(self) -> list[Trial]:
        """Waits until at least one job is finished and returns those that are, in any order."""

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers; with `kill`, at once."""


class InlineExecutor:
    """One trial at a time in this process."""

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


class ProcessExecutor:
    """Reused worker processes, one trial each at a time.

    A worker that dies, runs out of memory or exceeds the time limit fails its own trial and is replaced.

    Args:
        assembly: The driver's assembly; workers make their own from its specification.
        folder: Where artifacts go; worker processes need a real folder.
        emit: Called in the driver with live measurements.
        objects: Ready-made objects of Python callers; pickled to the workers.

    Raises:
        SpecError: An object cannot be pickled.
    """

    def __init__(self, assembly: Assembly, folder: Path, emit: Emit, objects: Mapping[str, Any] | None = None) -> None:
        from pebble import ProcessPool

        spec = assembly.spec
        self._emit, self._limit = emit, spec.run.time_limit
        self._futures: dict[Future[Any], Trial] = {}
        self._live = Path(tempfile.mkdtemp(prefix="nasplug-live-"))
        self._read: dict[int, int] = {}
        setup = {
            "spec": spec.to_plain(),
            "folder": str(folder),
            "live": str(self._live),
            "keeps_checkpoints": assembly.keeps_checkpoints,
            "environment": dict(os.environ),
        }
        self._pool: Any = ProcessPool(
            max_workers=spec.run.workers,
            context=context(),
            initializer=_start_worker,
            initargs=(setup, _pickled(objects or {})),
        )

    def submit(self, job: Job) -> None:
        """Hands the job to the pool."""
        future = self._pool.schedule(_run_job, args=[job], timeout=self._limit)
        self._futures[future] = job.trial

    def finished(self) -> list[Trial]:
        """Waits for at least one result, passing live measurements on meanwhile."""
        while True:
            done, _ = wait(self._futures, timeout=POLL, return_when=FIRST_COMPLETED)
            self._tail()
            if done:
                return [self._result(future, self._futures.pop(future)) for future in done]

    def close(self, *, kill: bool = False) -> None:
        """Ends the workers."""
        if kill:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()
        shutil.rmtree(self._live, ignore_errors=True)

    def _result(self, future: Future[Any], trial: Trial) -> Trial:
        from pebble import ProcessExpired

        try:
            result: Trial = future.result()
        except TimeoutError:
            message = f"ran longer than the time limit of {self._limit:g} s (run.time_limit)"
            return self._lost(trial, "timeout", message)
        except ProcessExpired as error:
            code = error.exitcode if error.exitcode is not None else "unknown"
            hint = ", perhaps killed for using too much memory" if code in (-9, 137) else ""
            return self._lost(trial, "crash", f"its worker process died with exit code {code}{hint}")
        except MemoryError as error:
            return self._lost(trial, "oom", str(error) or "out of memory")
        except NasplugError:
            raise
        except Exception as error:  # raised while a job or its result crossed the process border
            return self._lost(trial, "error", f"{type(error).__name__}: {error}")
        return result

    def _lost(self, trial: Trial, kind: str, message: str) -> Trial:
        measurements = tuple(self._measured(trial.number, everything=True))
        return trial.with_(state="failed", failure=Failure(kind, message), measurements=measurements)

    def _tail(self) -> None:
        for trial in list(self._futures.values()):
            for measurement in self._measured(trial.number):
                self._emit(trial.number, measurement)

    def _measured(self, number: int, *, everything: bool = False) -> list[Measurement]:
        """New complete lines of a trial's live file. A file and no queue: a killed writer can hold no lock."""
        path = self._live / f"{number}.jsonl"
        start = 0 if everything else self._read.get(number, 0)
        try:
            with path.open("rb") as file:
                file.seek(start)
                text = file.read()
        except OSError:
            return []
        end = text.rfind(b"\n") + 1
        self._read[number] = start + end
        return [Measurement(step, metrics) for step, metrics in map(json.loads, text[:end].splitlines())]


def _pickled(objects: Mapping[str, Any]) -> bytes:
    for name, value in objects.items():
        try:
            pickle.dumps(value)
        except Exception as error:
            raise SpecError(
                f"the object given as {name!r} cannot be sent to worker processes",
                where="run.executor: process",
                why=f"{type(error).__name__}: {error}",
                fix="define its class in an importable module (no lambda, no local class), or use executor='inline'",
            ) from error
    return pickle.dumps(dict(objects))


class _WorkerProcess:
    """What a worker process keeps between trials."""

    worker: Worker | None = None
    error: NasplugError | None = None
    live: Path


def _start_worker(setup: Mapping[str, Any], objects: bytes) -> None:
    """Runs first in every worker process. Must not raise: the pool would start processes for ever."""
    try:
        from nasplug.plugins.discovery import discover
        from nasplug.run.compose import compose

        threading.Thread(target=_end_with_parent, daemon=True).start()
        spec = RunSpec.parse(setup["spec"])
        enter(setup["environment"], spec.run.threads)
        _WorkerProcess.live = Path(setup["live"])
        catalog = discover(spec.plugins).catalog  # first: single-file plugins may define the classes of the objects
        # Pickle made by the driver of this very run a moment ago, over its own pipe; never from a file.
        ready = pickle.loads(objects)
        assembly = compose(spec, catalog, ready, with_strategy=False)
        _WorkerProcess.worker = Worker(assembly, Path(setup["folder"]), keeps_checkpoints=setup["keeps_checkpoints"])
    except NasplugError as error:
        _WorkerProcess.error = error
    except Exception as error:
        _WorkerProcess.error = PluginError("a worker process cannot be set up", why=f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """A killed driver cannot end its workers; without this they would train on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _run_job(job: Job) -> Trial:
    """Runs one job in a worker process."""
    if _WorkerProcess.worker is None:
        text = str(_WorkerProcess.error)
        raise PluginError("a worker process cannot be set up", why=text)
    path = _WorkerProcess.live / f"{job.trial.number}.jsonl"

    def emit(number: int, measurement: Measurement) -> None:
        with contextlib.suppress(OSError), path.open("a") as file:  # only for the display: never fail a trial for it
            file.write(json.dumps([measurement.step, dict(measurement.metrics)]) + "\n")

    return _WorkerProcess.worker.run(job, emit)


def _make_inline(assembly: Assembly, folder: Path | None, emit: Emit, objects: Mapping[str, Any]) -> Executor:
    return InlineExecutor(assembly, folder, emit)


def _make_process(assembly: Assembly, folder: Path | None, emit: Emit, objects: Mapping[str, Any]) -> Executor:
    assert folder is not None
    return ProcessExecutor(assembly, folder, emit, objects)


#: Executors by the name that `run.executor` uses.
EXECUTORS: dict[str, Callable[[Assembly, Path | None, Emit, Mapping[str, Any]], Executor]] = {
    "inline": _make_inline,
    "process": _make_process,
}
