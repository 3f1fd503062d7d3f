"""Runs that are killed at chosen points of the program, as fast as they get there, until they are done.

`kills` waits and kills: it hits what takes long. Here a process sends itself SIGKILL at its n-th chance, of which there
is one before, inside and after every transaction of the study file, before and after every file that takes its place,
and before every proposal. No handler runs, as with a kill from outside.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nasplug.contract.errors import NasplugError
from nasplug.run.api import run_spec
from tests.faults.kills import PATIENCE, Case, ended, finished
from tests.faults.tally import Tally

#: Kills after which a run in one process is left alone.
MOST = 60


class Fuse:
    """Kills this process at its n-th chance.

    Args:
        left: Number of chances.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    def chance(self) -> None:
        """Counts down."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self) -> None:
        """Puts a chance at every point; for a process that ends anyway."""
        from nasplug.ledger import sqlite
        from nasplug.plugins.manager import Manager

        transaction, replace, call = sqlite.transaction, Path.replace, Manager.call

        @contextmanager
        def watched(connection: Any) -> Iterator[None]:
            self.chance()
            with transaction(connection):
                yield
                self.chance()
            self.chance()

        def replacing(path: Path, target: Any) -> Path:
            self.chance()
            done = replace(path, target)
            self.chance()
            return done

        def calling(manager: Manager, hook: str, *arguments: Any, **more: Any) -> Any:
            if hook == "propose":
                self.chance()
            return call(manager, hook, *arguments, **more)

        sqlite.transaction = watched
        Path.replace = replacing  # type: ignore[method-assign,assignment]
        Manager.call = calling  # type: ignore[method-assign,assignment]


def crash_until_done(
    case: Case,
    expected: str,
    seed: int,
    folder: Path,
    tally: Tally,
    run: dict[str, Any] | None = None,
    most: int = MOST,
) -> int:
    """Lets a run kill itself at random points, again and again, until it is done.

    Args:
        case: Search.
        expected: Records of a quiet run.
        seed: Seed of the points.
        folder: Folder of the study.
        tally: Gets one entry for each kill, and one for the end.
        run: Keys of `run`, such as executor and workers.
        most: Kills after which the run is left alone.

    Returns:
        Number of kills.
    """
    rng, run = random.Random(seed), run or {}
    kind, note = f"crash: {run.get('executor', 'inline')}, {case.name}", f"seed {seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path, before, kills = folder / "s.sqlite", dict[int, str](), 0
    reach = rng.choice((8, 30, 120))
    while True:
        left = rng.randint(1, reach) if kills < most else 0
        status = _in_fork(case, folder, run, left)
        killed = status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if status is None:
            tally.add(kind, "hung", note)
            return kills
        try:
            now = finished(path)
        except NasplugError as error:
            tally.add(kind, "lost", f"{note}: {error}")
            return kills
        lost = [number for number, record in before.items() if now.get(number) != record]
        if killed:
            kills += 1
            tally.add(kind, "lost" if lost else "survived", f"{note}: trials {lost[:5]}")
            before = now
            continue
        if status:
            tally.add(kind, "traceback", f"{note}: {(folder / 'said.txt').read_text()[-300:]}")
        elif ended(path) != expected:
            tally.add(kind, "different", note)
        return kills


def _in_fork(case: Case, folder: Path, run: dict[str, Any], left: int) -> int | None:
    """Runs a search in a fork; its status, or None if it had to be stopped."""
    pid = os.fork()
    if pid == 0:
        try:
            sink = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(sink, stream)
            if left:
                Fuse(left).arm()
            run_spec(case.spec(folder, **run), snapshot_every=case.snapshot_every)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(3)
    end = time.monotonic() + PATIENCE
    pause = 0.0005
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def die_in_workers(case: Case, seed: int, folder: Path, tally: Tally) -> int:
    """Runs a search whose workers kill themselves in the middle of trials; each trial is tried once more.

    Args:
        case: Search, with any evaluator.
        seed: Seed of who dies.
        folder: Folder of the study.
        tally: Gets an entry for each death.

    Returns:
        Number of deaths.
    """
    rng = random.Random(seed)
    kind, note = f"death of a worker: {case.name}", f"seed {seed}"
    found = []
    for alive in (True, False):
        place = folder / str(alive)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        keys = {
            **case.keys,
            "evaluator": {"mortal": {"folder": str(place), "share": 0.0 if alive else 0.5, "seed": seed}},
        }
        run: dict[str, Any] = {} if alive else {"executor": "process", "workers": rng.choice((1, 2, 3))}
        status = _in_fork(Case(case.name, keys, case.snapshot_every), place, run, 0)
        if status is None:
            tally.add(kind, "hung", note)
            return 0
        if status:
            tally.add(kind, "traceback", f"{note}: {(place / 'said.txt').read_text()[-300:]}")
            return 0
        found.append(ended(place / "s.sqlite"))
    deaths = len(list((folder / "False").glob("died-*")))
    for _ in range(deaths):
        tally.add(kind, "survived" if found[0] == found[1] else "different", note)
    return deaths
