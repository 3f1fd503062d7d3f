"""The driver's end: lines to workers, over TCP with a secret that only the run knows."""

from __future__ import annotations

import queue
import secrets
import socket
import threading
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge, wait

#: What came over a line: identity of the worker, kind, value; the kind `gone` is the end of the line.
Call = tuple[int, str, object]
#: Seconds between looks at new lines.
LOOK = 0.1


class Switchboard:
    """Takes calls of workers; everything else happens in the thread of the driver.

    Args:
        host: Address to listen at; empty for all of this machine.
    """

    def __init__(self, host: str = "") -> None:
        self.key = secrets.token_bytes(32)
        self._listener = Listener((host or "0.0.0.0", 0), backlog=1024)
        self._new: queue.SimpleQueue[tuple[int, str, Connection]] = queue.SimpleQueue()
        self._lines: dict[int, Connection] = {}
        self._workers: dict[int, int] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Port that it listens at."""
        port: int = self._listener.address[1]
        return port

    def calls(self, seconds: float) -> list[Call]:
        """Waits for calls, at most so many seconds, and returns them in order."""
        found: list[Call] = []
        with suppress(queue.Empty):
            found.append(self._enter(*self._new.get(timeout=0 if self._lines else seconds)))
            while True:
                found.append(self._enter(*self._new.get_nowait()))
        for line in wait(list(self._lines.values()), 0 if found else min(seconds, LOOK)):
            assert isinstance(line, Connection)
            found += self._read(line)
        return found

    def send(self, worker: int, value: object) -> None:
        """Sends something to a worker; if its line is broken, its end is about to be read."""
        line = self._lines.get(worker)
        if line is not None:
            with suppress(OSError):
                line.send(value)

    def hang_up(self, worker: int) -> None:
        """Ends a line, and so the worker at its other end."""
        line = self._lines.pop(worker, None)
        if line is not None:
            self._workers.pop(line.fileno(), None)
            line.close()

    def close(self) -> None:
        """Ends all lines."""
        with suppress(OSError):
            self._listener.close()
        for worker in list(self._lines):
            self.hang_up(worker)

    def _accept(self) -> None:
        while True:
            try:
                line = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._greet, args=(line,), daemon=True).start()

    def _greet(self, line: Connection) -> None:
        """Lets only workers of this run in; a stranger who says nothing holds up nobody."""
        try:
            deliver_challenge(line, self.key)
            answer_challenge(line, self.key)
            worker, _, name = line.recv()
        except (OSError, EOFError, AuthenticationError):
            line.close()
            return
        with suppress(OSError):  # a machine that loses power says no farewell
            other = socket.socket(fileno=line.fileno())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            other.detach()
        self._new.put((worker, name, line))

    def _enter(self, worker: int, name: str, line: Connection) -> Call:
        self._lines[worker] = line
        self._workers[line.fileno()] = worker
        return worker, "hello", name

    def _read(self, line: Connection) -> list[Call]:
        worker = self._workers.get(line.fileno())
        if worker is None:
            return []
        found: list[Call] = []
        try:
            while True:
                _, kind, value = line.recv()
                found.append((worker, kind, value))
                if not line.poll():
                    return found
        except Exception as error:  # the end of the line, or a message that was cut off or cannot be read
            reason = "its line broke off" if isinstance(error, (EOFError, OSError)) else f"{error}"
            self.hang_up(worker)
            return [*found, (worker, "gone", reason)]
