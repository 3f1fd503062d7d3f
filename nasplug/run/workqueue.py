"""Work of strategies and plugins in a run: each piece is done once, and handed over when somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from nasplug.contract.errors import SpecError
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.storage import Storage
from nasplug.ledger.work import Outcome, Request
from nasplug.plugins.manager import Manager
from nasplug.run.answers import Answers
from nasplug.run.jobs import Job
from nasplug.run.preparing import check_prepared, intact, prepared_by


class WorkQueue:
    """The pieces of work of one run, by key, with their outcomes.

    Args:
        ledger: Ledger of the run, which strategies read outcomes from.
        storage: Storage of outcomes; may hold those of an earlier run.
        executor: Executor of the jobs.
        send: Function that hands a job to the executor, and starts it before the first.
        wait: Function that waits until something is done, and gives outcomes to `take`.
        strategy: Name of the strategy, for messages.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        executor: Answers,
        send: Callable[[Job], None],
        wait: Callable[[], None],
        strategy: str,
    ) -> None:
        self._ledger, self._storage, self._executor = ledger, storage, executor
        self._send, self._wait, self._strategy = send, wait, strategy
        self._before = {key: msgspec.convert(data, Outcome) for key, data in storage.work().items()}
        self._outcomes: dict[str, Outcome] = {}
        self._working: set[str] = set()
        self._prepared = False

    def prepare(self, manager: Manager) -> None:
        """Waits for what plugins want done before the first trial that runs; nothing depends on when that is."""
        if self._prepared:
            return
        self._prepared = True
        for name, work in prepared_by(manager, self._ledger.view):
            before, shared = self._before.get(work.key), work.key in self._working
            if before is not None and before.failure is not None:
                del self._before[work.key]  # what every trial needs is tried again
            self.start(Request(work), name)
            self._await(work.key)
            if not shared:  # the strategy may ask for the same
                self._working.discard(work.key)
                self._before[work.key] = self._outcomes.pop(work.key)
            check_prepared(name, self._outcomes.get(work.key) or self._before[work.key])

    def start(self, request: Request, owner: str = "") -> None:
        """Begins a piece of work, unless it is under way or was done before.

        Args:
            request: The work, with the trials that it needs.
            owner: Plugin that asks for it; empty for the strategy.

        Raises:
            SpecError: The executor cannot keep its time limit.
        """
        work = request.work
        if work.key in self._working:
            return
        if work.time_limit is not None and not self._executor.separate:
            raise SpecError(
                "a time limit cannot be kept inside one process",
                where=f"work of {owner or f'strategy {self._strategy!r}'}",
                fix="run.executor: process, or leave the limit out",
            )
        self._working.add(work.key)
        before = self._before.get(work.key)
        if before is not None and intact(self._ledger.view, before):
            self._outcomes[work.key] = before
        else:
            self._send(Job(None, work, request.trials, owner=owner))

    def finish(self, keys: Iterable[str]) -> None:
        """Waits for all of it, and hands the outcomes over.

        Args:
            keys: Keys of work that was started.
        """
        for key in keys:
            self._await(key)
            self._working.discard(key)
            self._before[key] = self._outcomes.pop(key)
            self._ledger.answer(self._before[key])

    def take(self, outcome: Outcome) -> None:
        """Writes an outcome down, and keeps it until somebody waits for it.

        Args:
            outcome: Outcome of work that was started.
        """
        self._storage.write_work(outcome.key, msgspec.to_builtins(outcome))
        self._outcomes[outcome.key] = outcome

    def restorable(self, keys: Iterable[str]) -> bool:
        """Whether the outcomes of earlier work are all here, with their files.

        Args:
            keys: Keys of the work.
        """
        found = [self._before.get(key) for key in keys]
        return all(outcome is not None and intact(self._ledger.view, outcome) for outcome in found)

    def restore(self, keys: Iterable[str]) -> None:
        """Hands the outcomes of earlier work over again.

        Args:
            keys: Keys of the work, all `restorable`.
        """
        for key in keys:
            self._ledger.answer(self._before[key])

    def _await(self, key: str) -> None:
        while key not in self._outcomes:
            self._wait()
