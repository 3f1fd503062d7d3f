"""Files of strangers in every format: random damage, and what somebody wrote on purpose. Each is read in a fork."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from nasplug.contract.errors import NasplugError
from tests.faults.formats import ODD, Format, all_formats
from tests.faults.tally import Tally

#: Seconds after which a file has hung whoever reads it, and bytes that reading one may take.
PATIENCE, MEMORY = 60.0, 6 << 30


@cache
def formats() -> dict[str, Format]:
    """Every format by name."""
    return {each.name: each for each in all_formats()}


def damaged(good: bytes, rng: random.Random, text: str) -> bytes:
    """A file with random damage to its bytes or its words."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 1, 2, 4, 8, 64, 512)))
        kind = rng.choice(("flip", "flip", "cut", "fill", "noise", "insert", "copy", *(["word"] * 6 if text else ())))
        if kind == "flip" and start < len(data):
            data[start] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[start : end if rng.random() < 0.5 else len(data)]
        elif kind == "fill":
            data[start:end] = rng.choice((b"\0", b"\xff", b" ")) * (end - start)
        elif kind == "noise":
            data[start:end] = rng.randbytes(end - start)
        elif kind == "insert":
            data[start:start] = rng.randbytes(rng.choice((1, 4, 64)))
        elif kind == "copy":
            other = rng.randrange(len(data) + 1)
            data[start:start] = data[other : other + rng.choice((1, 16, 256))]
        elif kind == "word":
            data[start:end] = rng.choice(ODD)[1].encode()
    return bytes(data)


class Readers:
    """Reads files of strangers in forks of this process, each of which reads many.

    Args:
        folder: Folder for the files.
        tally: Gets the outcomes.
    """

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally
        self.good: dict[str, bytes] = {}

    def prepare(self, kind: Format) -> bytes:
        """Writes the good file of a format, once."""
        if kind.name not in self.good:
            place = self.place(kind)
            place.mkdir(parents=True)
            self.isolated([("write", lambda: kind.write(place))], lambda *_: None, free=True)
            self.good[kind.name] = (place / kind.file).read_bytes()
        return self.good[kind.name]

    def place(self, kind: Format) -> Path:
        """Folder of a format."""
        return self.folder / kind.name.replace(": ", "-").replace(" ", "_").replace(",", "")

    def read(self, name: str, seeds: range, every: int = 1) -> None:
        """Reads a format: the good file, files with random damage, and those that somebody wrote.

        Args:
            name: Name of the format.
            seeds: Seeds of the damage.
            every: One in so many of the files that somebody wrote is read; 0 for none.
        """
        kind = formats()[name]
        good, place = self.prepare(kind), self.place(kind)
        damage = [(f"seed {seed}", lambda seed=seed: damaged(good, random.Random(seed), kind.text)) for seed in seeds]
        self.isolated(self.cases(kind, place, damage), self.counter(f"damaged file: {name}"))
        if every:
            self.isolated(
                self.cases(kind, place, [("as it was", lambda: good)]),
                self.counter("", must="refused" if kind.refused else "survived"),
            )
            made = [(what, lambda data=data: data) for what, data in list(kind.attacks(good, self.folder))[::every]]
            self.isolated(self.cases(kind, place, made), self.counter(f"file of a stranger: {name}"))

    def cases(
        self, kind: Format, place: Path, made: list[tuple[str, Callable[[], bytes]]]
    ) -> list[tuple[str, Callable[[], object]]]:
        """Writing and reading of files, by what they are."""

        def case(make: Callable[[], bytes]) -> Callable[[], object]:
            def read() -> object:
                (place / kind.file).write_bytes(make())
                try:
                    return kind.read(place / kind.file)
                except NasplugError as error:
                    if kind.named and not any(
                        name in str(error) for name in (place.name, *(file.name for file in place.iterdir()))
                    ):
                        raise AssertionError(f"does not name the file: {error}") from error
                    raise

            return read

        return [(what, case(make)) for what, make in made]

    def counter(self, kind: str, must: str = "") -> Callable[[str, str, str], None]:
        """What counts outcomes, or checks one."""

        def count(what: str, outcome: str, note: str) -> None:
            for left in (self.folder / "PWNED", Path("PWNED"), Path("/tmp/PWNED")):
                if left.exists():
                    outcome, note = "executed", what
                    left.unlink()
            if not must:
                self.tally.add(kind, outcome, f"{what}: {note}")
            elif outcome != must:
                self.tally.add("good file", "traceback", f"{what}: {outcome}: {note}")

        return count

    def isolated(
        self, cases: list[tuple[str, Callable[[], object]]], count: Callable[[str, str, str], None], free: bool = False
    ) -> None:
        """Runs cases in a fork; where one of them kills or hangs it, another fork goes on behind it."""
        done = 0
        while done < len(cases):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                _work(cases[done:], writing, free)
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                for line in _lines(pipe.fileno()):
                    outcome, note = json.loads(line)
                    if free and outcome != "survived":
                        raise AssertionError(note)
                    count(cases[done][0], outcome, note)
                    done += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if done < len(cases):
                hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
                count(cases[done][0], "hung" if hung else "traceback", f"the process ended with status {status}")
                done += 1


def _lines(pipe: int) -> Iterator[bytes]:
    """Lines from a pipe, until its other end is closed or nothing comes for too long."""
    kept, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not select.select([pipe], [], [], 0.5)[0]:
            continue
        data = os.read(pipe, 65536)
        if not data:
            return
        *lines, kept = (kept + data).split(b"\n")
        for line in lines:
            end = time.monotonic() + PATIENCE
            yield line


def _work(cases: list[tuple[str, Callable[[], object]]], writing: int, free: bool) -> None:
    """Runs cases in this process, one line each, and ends it."""
    try:
        sink = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(sink, stream)
        if not free:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for _, case in cases:
            try:
                case()
                said = ("survived", "")
            except NasplugError as error:
                said = ("refused", str(error)[:100])
            except BaseException as error:
                said = ("traceback", f"{type(error).__name__}: {error}"[:250])
            os.write(writing, json.dumps(said).encode() + b"\n")
    finally:
        os._exit(0)
