"""How a worker comes to life anywhere: one record of plain data that every executor with processes can send."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import JsonObject
from nasplug.plugins.watchdog import Watchdog
from nasplug.run.assemble import Assembly, compose
from nasplug.run.executors.devices import grant, usable
from nasplug.run.executors.serving import Service
from nasplug.run.jobs import Message
from nasplug.run.processes import enter
from nasplug.run.spec import RunSpec
from nasplug.run.worker import Worker


@dataclass(frozen=True)
class Place:
    """What differs where an engine starts a worker: its own environment variables stay, and set the GPUs that it sees.

    Attributes:
        folder: Folder of artifacts as this machine reaches it.
        plugins: Paths of the single-file plugins here.
        device: Device of the trials here.
    """

    folder: str
    plugins: Sequence[str]
    device: str


@dataclass(frozen=True)
class Bootstrap:
    """Everything a process needs to become a worker of a run.

    Attributes:
        spec: Specification, as plain data.
        folder: Folder of artifacts.
        keeps_checkpoints: Whether optimiser states are kept.
        environment: Environment variables of the driver.
        objects: Ready-made objects of Python callers, pickled.
        gpus: Number of GPUs of this machine to give out; None for all.
    """

    spec: JsonObject
    folder: str
    keeps_checkpoints: bool
    environment: Mapping[str, str]
    objects: bytes
    gpus: int | None = None

    @classmethod
    def of(cls, assembly: Assembly, folder: Path, objects: Mapping[str, object], *, program: bool = True) -> Self:
        """Packs the run of an assembly.

        Args:
            assembly: The driver's assembly.
            folder: Folder of artifacts.
            objects: Ready-made objects of Python callers.
            program: Whether worker processes load the program that runs here; otherwise, what it defines is packed with
                its code.

        Raises:
            SpecError: An object cannot be pickled.
        """
        packed = _pickled(objects, program=program and _has_program())
        return cls(assembly.spec.to_plain(), str(folder), assembly.keeps_checkpoints, dict(os.environ), packed)

    def worker(self, index: int = 0, place: Place | None = None) -> Worker:
        """Composes the run in this process.

        Args:
            index: Index of the worker, which decides its GPU.
            place: Surroundings of a process that an engine started on a machine of its choice; None beside the driver.

        Raises:
            NasplugError: As for `compose`.
        """
        from nasplug.plugins.discovery import discover

        spec = RunSpec.parse(self.spec)
        if place is not None:
            spec = spec.replace(plugins=tuple(place.plugins))
        enter(self.environment if place is None else os.environ, spec.run.threads)
        watchdog = Watchdog(spec.run.hook_warning, spec.run.hook_limit)
        watchdog.begin()  # as long as the process lives
        with watchdog.watching("plugins", "import"):
            catalog = discover(spec.plugins).catalog  # first: single-file plugins may define the classes of objects
            # Pickle made by the driver of this very run a moment ago, over its own pipe; never from a file.
            ready = pickle.loads(self.objects)
        assembly = compose(spec, catalog, ready, with_strategy=False, watchdog=watchdog)
        assembly.manager.watched_by(watchdog)
        if place is not None:
            folder, device = place.folder, place.device
        else:
            run, torch = spec.run, sys.modules.get("torch")
            on_cpu = run.device.startswith("cpu")
            found = 0 if torch is None or on_cpu else torch.cuda.device_count()
            if not on_cpu and torch is not None:
                found = usable(found, self.gpus)
            given = grant(index, run.workers, run.device, run.gpus, found)
            given.enforce()
            folder, device = self.folder, given.device
        return Worker(assembly, Path(folder), keeps_checkpoints=self.keeps_checkpoints, device=device)


class Serve:
    """What a worker process runs; can be sent to it.

    Args:
        bootstrap: Record that tells how to become a worker.
    """

    def __init__(self, bootstrap: Bootstrap) -> None:
        self.bootstrap = bootstrap

    def __call__(self, pipe: Connection, index: int) -> None:
        """Serves jobs until the driver says so, or is gone."""
        from nasplug.run.executors.gang import runner

        detach()
        service = Service(lambda: runner(self.bootstrap.worker(index), lambda: self.bootstrap, index))
        lock = threading.Lock()

        def send(kind: str, value: object) -> None:
            with lock:
                pipe.send((kind, value))

        def emit(key: int | str, message: Message) -> None:
            try:
                send("message", message)
            except (OSError, ValueError):  # only for the display: never fail a trial for it
                return

        send("ready", None)
        while True:
            try:
                job = pipe.recv()
            except (EOFError, OSError):
                break
            if job is None:
                break
            result = service.answer(job, emit)
            try:
                send("done", result)
            except (OSError, ValueError):  # the job closed descriptors that are not its own
                os._exit(70)
        # Threads that a job left behind must not keep the process.
        os._exit(0)


def detach() -> None:
    """Makes this process the head of a group of its own, which ends when the process that started it ends."""
    if hasattr(os, "setsid"):
        os.setsid()  # children of a job end with it, and Ctrl-C is the driver's alone
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed driver cannot end its workers; without this they would train on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _pickled(objects: Mapping[str, object], *, program: bool | None = None) -> bytes:
    """The objects as bytes that pickle reads; with their classes, where a process elsewhere cannot import them."""
    problem: Exception | None
    program = _has_program() if program is None else program
    for name, value in objects.items():
        try:
            by_value = _CELLS in pickle.dumps(value) and not program
        except Exception as error:
            by_value, problem = True, error
        else:
            problem = None
        if by_value:
            return _with_classes(objects, name, problem)
    return pickle.dumps(dict(objects))


#: How a pickle names what was defined in the program itself, or in the cells of a notebook.
_CELLS = b"__main__"


def _has_program() -> bool:
    """Whether worker processes find what the program defines: in its file, which a notebook does not have."""
    main = sys.modules.get("__main__")
    return getattr(main, "__file__", None) is not None or getattr(main, "__spec__", None) is not None


def _with_classes(objects: Mapping[str, object], name: str, problem: Exception | None) -> bytes:
    """The objects with the code of their classes and functions, as cloudpickle writes it."""
    where = "run.executor"
    why = "its class is defined in a program or notebook, where worker processes cannot find it"
    if problem is not None:
        why = f"{type(problem).__name__}: {problem}"
    what = f"the object given as {name!r} cannot be sent to worker processes"
    try:
        import cloudpickle
    except ImportError as error:
        raise SpecError(
            what,
            where=where,
            why=why,
            fix='pip install cloudpickle (or "nasplug[train]"), or define the class in a module, or use workers=1',
        ) from error
    try:
        data: bytes = cloudpickle.dumps(dict(objects))
        return data
    except Exception as error:
        raise SpecError(
            what,
            where=where,
            why=f"{type(error).__name__}: {error}",
            fix="let it open files, connections and locks when they are first used, or use workers=1",
        ) from error
