"""The worker's end: what an element of the array runs."""

from __future__ import annotations

import os
import platform
import queue
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.run.jobs import Job, Message


@dataclass(frozen=True)
class Calling:
    """Calls the driver, becomes a worker of its run, and serves jobs until the driver hangs up or is gone.

    Attributes:
        hosts: Names under which the driver's machine may be reached, tried in order.
        port: Port that the driver listens at.
        key: Secret that both ends know.
        worker: Identity of this worker.
        device: Device of the trials.
    """

    hosts: tuple[str, ...]
    port: int
    key: bytes = field(repr=False)
    worker: int
    device: str

    def __call__(self) -> None:
        """Runs in a process of the cluster."""
        line = self._call()
        line.send((self.worker, "hello", platform.node()))
        parcel = line.recv()
        try:
            station = parcel.unpack(self.device)
        except NasplugError as error:
            line.send((self.worker, "refused", error))
            return
        jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(line, jobs), daemon=True).start()
        speaking = threading.Lock()

        def say(kind: str, value: object) -> None:
            with speaking:
                line.send((self.worker, kind, value))

        def emit(key: int | str, message: Message) -> None:
            with suppress(OSError, ValueError):  # only for the display: never fail a trial for it
                say("message", message)

        say("ready", None)
        while (job := jobs.get()) is not None:
            say("done", station.answer(job, emit))
        os._exit(0)  # threads that a job left behind must not keep the process

    def _call(self) -> Connection:
        problems = []
        for host in self.hosts:
            try:
                return Client((host, self.port), authkey=self.key)
            except OSError as error:
                problems.append(f"{host}:{self.port}: {error}")
        raise PluginError(
            "cannot reach the driver",
            where=f"worker on {platform.node()}",
            why="; ".join(problems),
            fix="name an address of the driver's machine that the nodes reach: executor: {slurm: {host: ...}}",
        )


def _listen(line: Connection, jobs: queue.SimpleQueue[Job | None]) -> None:
    """Hands on jobs. A driver that is gone ends this process, in the middle of whatever it does."""
    while True:
        try:
            job = line.recv()
        except (EOFError, OSError):
            if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
                os.killpg(0, signal.SIGKILL)  # with everything that the job started
            os._exit(1)
        jobs.put(job)
        if job is None:
            return
