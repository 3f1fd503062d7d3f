"""What runs in processes of the cluster: workers, and the mailbox through which they speak while they work.

The two classes travel with their code (`register_pickle_by_value`), and import nothing of nasplug before they are
asked to: a machine that lacks a package then says which one, where Ray could only say that an actor did not start.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import platform
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.run.executors.elsewhere import Station
    from nasplug.run.jobs import Message

#: One thing that a worker says: its identity, a number that counts its letters (a mailbox may take them out of order),
#: `ready`, `begun` (with the name of the job), `message` or `done`, and the pickled message.
Letter = tuple[int, int, str, bytes]


class Mailbox:
    """Holds what workers say until the driver takes it; an actor with asynchronous methods, close to the driver.

    Args:
        linger: Seconds for which it waits for another driver when its own is silent; 0 to end with it.
    """

    def __init__(self, linger: float = 0.0) -> None:
        self._letters: list[Letter] = []
        self._arrived = asyncio.Event()
        self._linger, self._heard = linger, time.monotonic()
        self._jobs: dict[int, str] = {}
        self._groups: dict[int, Any] = {}
        self._watch: asyncio.Task[None] | None = None

    async def put(self, letter: Letter) -> None:
        """Takes a letter."""
        identity, _, kind, content = letter
        if kind == "begun":
            self._jobs[identity] = content.decode()
        self._letters.append(letter)
        self._arrived.set()

    async def beat(self) -> None:
        """Hears that the driver lives."""
        self._heard = time.monotonic()
        if self._watch is None and self._linger:
            self._watch = asyncio.create_task(self._end())

    async def silence(self) -> float:
        """Returns the seconds since the driver was heard."""
        return time.monotonic() - self._heard

    async def roster(self) -> dict[int, str]:
        """Returns the name of the last job of each worker."""
        return self._jobs

    async def groups(self) -> dict[int, Any]:
        """Returns the placement group of each worker that has one."""
        return self._groups

    async def reserve(self, identity: int, group: Any) -> None:
        """Remembers the placement group of a worker."""
        self._groups[identity] = group

    async def _end(self) -> None:
        """Ends the mailbox when the workers have ended, for which they need it."""
        import ray

        # Workers look at the silence every quarter of that time, or every 15 seconds.
        while await self.silence() < 1.5 * self._linger + min(60.0, self._linger):
            await asyncio.sleep(min(5.0, self._linger / 4))
        ray.kill(ray.get_runtime_context().current_actor)

    async def take(self, seconds: float) -> list[Letter]:
        """Gives out all letters, in order; waits for the first at most so many seconds."""
        if not self._letters:
            try:
                await asyncio.wait_for(self._arrived.wait(), seconds)
            except TimeoutError:
                return []
        self._arrived.clear()
        letters, self._letters = self._letters, []
        return letters


class Worker:
    """A worker of one run.

    Args:
        identity: Identity that the driver knows it by.
        mailbox: Handle of the mailbox.
        linger: Seconds for which it goes on without a driver; 0 if it ends with its driver anyway.
    """

    def __init__(self, identity: int, mailbox: Any, linger: float = 0.0) -> None:
        self._identity, self._mailbox, self._said = identity, mailbox, 0
        self._station: Station | None = None
        self._answer = b""
        if linger:
            threading.Thread(target=self._watch, args=(linger,), daemon=True).start()

    def set_up(self, parcel: bytes, device: str) -> bytes:
        """Becomes a worker of the run; returns a pickled error with the machine's name, or nothing.

        Args:
            parcel: Pickled `nasplug.run.executors.elsewhere.Parcel`.
            device: Device of the trials.
        """
        try:
            self._station = pickle.loads(parcel).unpack(device)
            answer = b""
        except ModuleNotFoundError as error:
            answer = self._error(f"worker on {platform.node()}: the package {error.name!r} is not installed there")
        except Exception as error:
            try:
                answer = pickle.dumps(error)
                pickle.loads(answer)
            except Exception:
                answer = self._error(f"worker on {platform.node()}: {type(error).__name__}: {error}")
        self._say("ready", b"")
        return answer

    def run(self, job: bytes, name: str = "") -> bytes:
        """Runs a pickled job; returns, pickled, its result, the names of its files and the number of letters.

        Args:
            job: The job.
            name: Name by which another driver will ask for it; empty if none may.
        """
        assert self._station is not None
        if name:
            self._say("begun", name.encode())
        result, files = self._station.answer(pickle.loads(job), self._emit)
        answer = pickle.dumps((result, files, self._said + 1))
        if name:
            self._answer = answer
        self._say("done", b"")
        return answer

    def last(self) -> bytes:
        """Returns what `run` returned, to another driver; calls wait for each other, so that it has ended by then."""
        return self._answer

    def _watch(self, linger: float) -> None:
        """Ends this process when no driver was heard for too long, or its mailbox cannot be reached any more."""
        import ray

        heard = time.monotonic()
        while time.monotonic() - heard < linger:
            time.sleep(min(15.0, linger / 4))
            try:
                heard = time.monotonic() - ray.get(self._mailbox.silence.remote(), timeout=15)
            except Exception:  # its node is lost, or it is about to be started again
                continue
        group = ray.util.get_current_placement_group()
        if group is not None:
            ray.util.remove_placement_group(group)
        os._exit(0)

    def _emit(self, key: int | str, message: Message) -> None:
        self._say("message", pickle.dumps(message))

    def _say(self, kind: str, content: bytes) -> None:
        self._mailbox.put.remote((self._identity, self._said, kind, content))
        self._said += 1

    def _error(self, text: str) -> bytes:
        return pickle.dumps(RuntimeError(text))
