"""Failed trials of a study file that run again, and what that means for the trials after them.

A trial that ends in another way than before is news for the strategy, so every later trial is looked at again: it
keeps its result where the run would have given it the same one, and runs again, or makes room for another proposal,
where not. In the end the file holds the run that would have been without the failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.records import FAILURE_KINDS, Trial
from nasplug.ledger.storage import Storage
from nasplug.ledger.work import Outcome
from nasplug.run.resume import same_proposal


def read_kinds(kinds: str | Iterable[str]) -> frozenset[str]:
    """Reads kinds of failures, as a list or as `crash,timeout`.

    Raises:
        SpecError: A kind does not exist.
    """
    names = [name.strip() for name in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
    for name in names:
        if name not in FAILURE_KINDS:
            raise SpecError(
                f"{name!r} is not a kind of failure", where="retry_failed", fix=did_you_mean(name, FAILURE_KINDS)
            )
    return frozenset(names)


def take_back(storage: Storage, kinds: frozenset[str], *, needs_history: bool) -> list[int]:
    """Makes failed trials of a storage wait again, with all whose results would not be the same without the failure.

    Args:
        storage: The study; written in one transaction.
        kinds: Kinds of failures to try again.
        needs_history: Whether a pruner is configured, so that a result depends on earlier trials.

    Returns:
        Numbers of the failed trials.
    """
    trials = storage.trials()
    failed = [trial.number for trial in trials if _is_due(trial, kinds)]
    outcomes = {key: msgspec.convert(outcome, Outcome) for key, outcome in storage.work().items()}
    work = [key for key, outcome in outcomes.items() if outcome.failure is not None and outcome.failure.kind in kinds]
    if not failed and not work:
        return []
    first = 0 if work else min(failed) + 1
    again = dependants(trials, failed)
    if needs_history:
        again |= {trial.number for trial in trials if trial.number >= first and trial.proposal.failure is None}
    before = storage.meta().get("revised")
    revised = first if before is None else min(first, before)
    storage.take_back([waiting(trials[number]) for number in sorted(again)], {"revised": revised}, work)
    return failed


def _is_due(trial: Trial, kinds: frozenset[str]) -> bool:
    """Whether a trial failed in a way that is tried again; copies follow their source."""
    return (
        trial.failure is not None
        and trial.failure.kind in kinds
        and trial.proposal.failure is None
        and trial.copied_from is None
    )


def dependants(trials: Sequence[Trial] | Mapping[int, Trial], numbers: Iterable[int]) -> set[int]:
    """Returns the given trials, and all later ones that copy their results or inherit from them.

    Args:
        trials: Trials, ascending by number.
        numbers: Numbers to begin with.
    """
    found = set(numbers)
    for trial in trials.values() if isinstance(trials, Mapping) else trials:
        if trial.copied_from in found or trial.proposal.parent in found:
            found.add(trial.number)
    return found


def waiting(trial: Trial) -> Trial:
    """Returns a trial as it was before it ran."""
    return Trial(trial.number, trial.proposal, seed=trial.seed, label=trial.label)


class Revision:
    """Compares a file with the run that would have been without a failure, trial by trial.

    Args:
        storage: The study.
        recorded: Recorded trials by number; those that are replaced are taken out.
    """

    def __init__(self, storage: Storage, recorded: dict[int, Trial]) -> None:
        self._storage, self._recorded = storage, recorded
        self._first: int | None = storage.meta().get("revised")
        self._changed: list[Trial] = []

    def covers(self, number: int) -> bool:
        """Returns whether the proposal of that number may differ from the recorded one."""
        return self._first is not None and number >= self._first

    def admit(self, fresh: Trial) -> Trial:
        """Returns the recorded trial if it is the one that is proposed now, otherwise the fresh one.

        Args:
            fresh: Trial as it is proposed now.
        """
        number = fresh.number
        if number not in self._recorded:
            self._first = None
            self._storage.write_meta({"revised": None})
            return fresh
        recorded = self._recorded[number]
        same = same_proposal(recorded.proposal, fresh.proposal) and recorded.seed == fresh.seed
        if same and not recorded.finished:
            return fresh
        if same and recorded.copied_from == fresh.copied_from:
            return recorded
        for later in dependants(self._recorded, [number]) - {number}:
            self._recorded[later] = waiting(self._recorded[later])
            self._changed.append(self._recorded[later])
        del self._recorded[number]
        return fresh

    def changed(self) -> list[Trial]:
        """Returns recorded trials that must run again since the last call; they belong into the next transaction."""
        changed, self._changed = self._changed, []
        return changed
