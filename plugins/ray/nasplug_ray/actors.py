"""What runs in processes of the cluster: workers, and the mailbox through which they speak while they work.

The two classes travel with their code (`register_pickle_by_value`), and import nothing of nasplug before they are
asked to: a machine that lacks a package then says which one, where Ray could only say that an actor did not start.
"""

from __future__ import annotations

import asyncio
import pickle
import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.run.executors.elsewhere import Station
    from nasplug.run.jobs import Message

#: One thing that a worker says: its identity, a number that counts its letters (a mailbox may take them out of order),
#: `ready`, `message` or `done`, and the pickled message.
Letter = tuple[int, int, str, bytes]


class Mailbox:
    """Holds what workers say until the driver takes it; an actor with asynchronous methods, close to the driver."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._arrived = asyncio.Event()

    async def put(self, letter: Letter) -> None:
        """Takes a letter."""
        self._letters.append(letter)
        self._arrived.set()

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
    """

    def __init__(self, identity: int, mailbox: Any) -> None:
        self._identity, self._mailbox, self._said = identity, mailbox, 0
        self._station: Station | None = None

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

    def run(self, job: bytes) -> bytes:
        """Runs a pickled job; returns, pickled, its result, the names of its files and the number of letters."""
        assert self._station is not None
        result, files = self._station.answer(pickle.loads(job), self._emit)
        answer = pickle.dumps((result, files, self._said + 1))
        self._say("done", b"")
        return answer

    def _emit(self, key: int | str, message: Message) -> None:
        self._say("message", pickle.dumps(message))

    def _say(self, kind: str, content: bytes) -> None:
        self._mailbox.put.remote((self._identity, self._said, kind, content))
        self._said += 1

    def _error(self, text: str) -> bytes:
        return pickle.dumps(RuntimeError(text))
