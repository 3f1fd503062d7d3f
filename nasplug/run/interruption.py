"""Tells the person's Ctrl-C from a `KeyboardInterrupt` that a candidate raises by itself; SIGTERM ends a run alike."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the person interrupted."""

    def __init__(self) -> None:
        self.happened = False


@contextmanager
def watching() -> Iterator[Interruption]:
    """Takes note of interruptions, and passes them on to the handler that was there.

    Only the main thread of a process is ever interrupted; in any other, nothing happens.
    """
    found = Interruption()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield found
        return

    def handler(number: int, frame: FrameType | None) -> None:
        found.happened = True
        before(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended_politely() -> Iterator[Interruption]:
    """Lets SIGTERM, as batch systems and containers send it, end the process like Ctrl-C, with time to say farewell.

    Only the main thread of a process may set handlers; in any other, nothing happens.
    """
    found = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = signal.getsignal(signal.SIGTERM)

    def handler(number: int, frame: FrameType | None) -> None:
        found.happened = True
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, handler)
    try:
        yield found
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
