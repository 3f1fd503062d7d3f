"""Counts of a fault campaign: how many faults of each kind were injected, and what became of them."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What may become of a fault. The first ones are as they should be.
GOOD = ("identical", "earlier", "refused", "failed", "survived")
BAD = ("lost", "hung", "executed", "different", "traceback", "changed")


class Hung(BaseException):
    """It took too long."""


class Tally:
    """Outcomes by kind of fault.

    Attributes:
        counts: Number of faults by kind and outcome.
        notes: A line for each of the first bad ones.
    """

    def __init__(self, counts: dict[str, dict[str, int]] | None = None, notes: list[str] | None = None) -> None:
        self.counts: dict[str, Counter[str]] = {kind: Counter(found) for kind, found in (counts or {}).items()}
        self.notes = list(notes or [])

    def add(self, kind: str, outcome: str, note: str = "") -> None:
        """Counts one fault."""
        assert outcome in GOOD + BAD, outcome
        self.counts.setdefault(kind, Counter())[outcome] += 1
        if outcome in BAD and len(self.notes) < 50:
            self.notes.append(f"{kind}: {outcome}: {note}"[:400])

    def merge(self, other: Tally) -> None:
        """Adds the counts of another tally."""
        for kind, found in other.counts.items():
            self.counts.setdefault(kind, Counter()).update(found)
        self.notes += other.notes

    @property
    def injected(self) -> int:
        """Number of all faults."""
        return sum(sum(found.values()) for found in self.counts.values())

    @property
    def bad(self) -> dict[str, int]:
        """Number of faults by bad outcome."""
        total: Counter[str] = Counter(dict.fromkeys(BAD, 0))
        for found in self.counts.values():
            total.update({outcome: count for outcome, count in found.items() if outcome in BAD})
        return dict(total)

    def to_json(self) -> dict[str, object]:
        """Returns everything as JSON data."""
        return {
            "injected": self.injected,
            "kinds": len(self.counts),
            "bad": self.bad,
            "by_kind": {
                kind: {"injected": sum(found.values()), **dict(sorted(found.items()))}
                for kind, found in sorted(self.counts.items())
            },
            "notes": self.notes,
        }

    def save(self, path: Path) -> None:
        """Writes the counts, completely or not at all."""
        temporary = path.with_suffix(".part")
        data = {"counts": {kind: dict(found) for kind, found in self.counts.items()}, "notes": self.notes}
        temporary.write_text(json.dumps(data))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Tally:
        """Returns the counts of an earlier call, or none."""
        return cls(**json.loads(path.read_text())) if path.is_file() else cls()

    def check(self) -> None:
        """Fails if anything ended badly."""
        assert not any(self.bad.values()), "\n".join(self.notes)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raises `Hung` in the main thread when the time is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
