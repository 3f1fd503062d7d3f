"""Executors that are slow, deliver twice, or lie; and clocks that jump."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from msgspec.structs import replace

from nasplug.contract.errors import NasplugError
from nasplug.contract.records import Trial
from nasplug.ledger.work import Outcome
from nasplug.run.executors.inline import InlineExecutor
from nasplug.run.jobs import Done, Job
from nasplug.testing.search import Interrupted, outcome, run_search
from tests.faults.tally import Hung, Tally, limit

#: What an executor may do with results without changing a run, and what it may not.
HARMLESS = ("late", "shuffled", "duplicated", "duplicated later", "duplicated and changed", "empty answers")
LIES = (
    "foreign number", "foreign work", "another architecture", "another seed", "unfinished", "nothing", "a trial alone",
    "texts", "raises in submit", "raises in finished", "exits in finished", "raises in start", "recurses in finished",
)  # fmt: skip


class Odd(InlineExecutor):
    """Runs jobs in this process, and answers them in an odd way.

    Args:
        how: One of `HARMLESS` or `LIES`.
        seed: Seed of the moments.
    """

    def __init__(self, how: str, seed: int) -> None:
        super().__init__()
        self.how, self.rng = how, random.Random(seed)
        self.kept: list[Done] = []
        self.told: list[Done] = []
        self.left = self.rng.randrange(6)

    def start(self, launch: Any) -> None:
        if self.how == "raises in start":
            raise ValueError("boom")
        super().start(launch)

    def submit(self, job: Job) -> None:
        if self.how == "raises in submit" and self._now():
            raise ValueError("boom")
        super().submit(job)

    def finished(self) -> list[Done]:
        if self.how == "empty answers" and self.rng.random() < 0.5:
            return []
        if self.how in ("late", "shuffled"):
            while self._jobs:
                self.kept += super().finished()
            self.rng.shuffle(self.kept)
            count = 1 if self.how == "late" else self.rng.randint(1, len(self.kept))
            given, self.kept = self.kept[:count], self.kept[count:]
            return given
        done = super().finished()
        self.told += done
        if self.how == "duplicated":
            return [*done, *done]
        if self.how == "duplicated later":
            return [*self.rng.sample(self.told, min(3, len(self.told))), *done]
        if self.how == "duplicated and changed":
            changed = [one.with_(metrics={"val_acc": 9.0}) for one in self.told if isinstance(one, Trial)]
            return [*done, *self.rng.sample(changed, min(3, len(changed)))]
        lies = self.how in LIES and self.how not in ("raises in submit", "raises in start")
        return self._lie(done) if lies and self._now() else done

    def _now(self) -> bool:
        self.left -= 1
        return self.left == -1

    def _lie(self, done: list[Done]) -> Any:
        trial = next((one for one in done if isinstance(one, Trial)), None)
        if self.how == "nothing":
            return None
        if self.how == "texts":
            return ["done"]
        if self.how == "raises in finished":
            raise ValueError("boom")
        if self.how == "recurses in finished":
            raise RecursionError("deep")
        if self.how == "exits in finished":
            raise SystemExit(0)
        if self.how == "foreign work":
            return [*done, Outcome("nobody-asked", 1)]
        if trial is None:
            self.left = 0
            return done
        if self.how == "a trial alone":
            return trial
        if self.how == "foreign number":
            return [trial.with_(number=trial.number + 1000)]
        if self.how == "unfinished":
            return [trial.with_(state="waiting")]
        if self.how == "another seed":
            return [trial.with_(seed=trial.seed + 1)]
        other = replace(trial.architecture, key=trial.architecture.key + "x")
        return [trial.with_(proposal=replace(trial.proposal, architecture=other))]


def answer_oddly(how: str, seed: int, tally: Tally) -> None:
    """Runs a search on an executor that is slow, delivers twice or lies.

    Args:
        how: One of `HARMLESS` or `LIES`.
        seed: Seed of the moments.
        tally: Gets the outcome.
    """
    kind, note = f"executor: {how}", f"seed {seed}"
    strategy = random.Random(seed).choice(("random", "regularized_evolution", "qnas"))
    options: dict[str, Any] = {"trials": 24, "batch": 4, "seed": seed}
    expected = outcome(run_search(strategy, **options))
    try:
        with limit(60):
            study = run_search(strategy, executor=Odd(how, seed), **options)
    except Hung:
        tally.add(kind, "hung", note)
    except NasplugError as error:
        raised = "raises" in how or "exits" in how or "recurses" in how
        words = "raised " if raised else "this is a fault of the executor"
        named = "executor" in str(error) and words in str(error) and how in LIES
        tally.add(kind, "refused" if named else "traceback", f"{note}: {error}")
    except BaseException as error:
        tally.add(kind, "traceback", f"{note}: {type(error).__name__}: {error}")
    else:
        same = outcome(study) == expected and how in HARMLESS
        tally.add(kind, "survived" if same else "different", note)


@contextmanager
def jumping(seed: int, how: str) -> Iterator[None]:
    """Lets the clock of the day jump, or the other one leap forwards as after a machine has slept.

    Args:
        seed: Seed of the jumps.
        how: `day` or `sleep`.
    """
    rng = random.Random(seed)
    real: dict[str, Callable[[], Any]] = {name: getattr(time, name) for name in ("time", "time_ns", "monotonic")}
    slept = 0.0

    def day() -> float:
        return max(0.0, real["time"]() + rng.choice((0.0, 0.0, 1.0, -1.0)) * 10 ** rng.uniform(0.0, 9.5))

    def sleeping() -> float:
        nonlocal slept
        slept += 10 ** rng.uniform(0.0, 6.0) if rng.random() < 0.1 else 0.0
        return float(real["monotonic"]()) + slept

    if how == "day":
        time.time, time.time_ns = day, lambda: int(1e9 * day())
    else:
        time.monotonic = sleeping
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(time, name, function)


def move_clock(how: str, seed: int, tally: Tally, folder: Any) -> None:
    """Runs, interrupts and resumes a search while a clock jumps.

    Args:
        how: `day` or `sleep`.
        seed: Seed of the jumps.
        tally: Gets the outcome.
        folder: Folder for the study.
    """
    rng = random.Random(seed)
    strategy = rng.choice(("random", "regularized_evolution", "qnas", "optuna.tpe"))
    options: dict[str, Any] = {"trials": 20, "batch": 4, "seed": seed, "snapshot_every": rng.choice((0.0, 0.001, 5.0))}
    expected = outcome(run_search(strategy, **options))
    path = folder / f"clock-{how}-{seed}.sqlite"
    kind, note = f"clock: {how}", f"seed {seed}"
    try:
        with limit(60), jumping(seed, how):
            with suppress(Interrupted):
                run_search(strategy, storage=path, stop_after=rng.randint(1, 19), **options)
            study = run_search(strategy, storage=path, **options)
    except Hung:
        tally.add(kind, "hung", note)
    except BaseException as error:
        tally.add(kind, "traceback", f"{note}: {type(error).__name__}: {error}")
    else:
        tally.add(kind, "survived" if outcome(study) == expected else "different", note)
    finally:
        for file in folder.glob(f"{path.name}*"):
            if file.is_file():
                file.unlink()
