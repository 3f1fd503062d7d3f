"""What a run leaves behind so that the next one goes on exactly where it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from nasplug.contract.errors import ReplayError
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.storage import Storage
from nasplug.run.assemble import Assembly
from nasplug.run.reviewing import check_state


class Snapshot(msgspec.Struct, frozen=True):
    """The driver at one moment.

    Attributes:
        observed: Number of observed trials.
        proposed: Number of proposed ones.
        known: Number of observed trials when each pending trial was proposed.
        work: Keys of the outcomes that were handed over.
        plugins: State of every plugin of the driver by name.
    """

    observed: int
    proposed: int
    known: list[int]
    work: list[str]
    plugins: dict[str, Json]


@runtime_checkable
class _Stateful(Protocol):
    def state_dict(self) -> object: ...

    def load_state_dict(self, state: Json) -> None: ...


class Snapshots:
    """Takes and finds snapshots.

    Args:
        assembly: The configured plugins.
        storage: Storage of the snapshots.
        every: Seconds between two of them.
    """

    def __init__(self, assembly: Assembly, storage: Storage, every: float) -> None:
        self._assembly, self._storage, self._every = assembly, storage, every
        self._plugins = _stateful(assembly)
        self._at = time.monotonic()
        self._restored = 0

    def due(self, ledger: Ledger) -> bool:
        """Whether it is time for a snapshot."""
        if self._plugins is None or self._storage.path is None or self._assembly.spec.run.clock is not None:
            return False  # on a simulated clock the observed trials are not a prefix; a resumed run replays them
        return time.monotonic() - self._at >= self._every and len(ledger.view.trials) > self._restored

    def take(self, ledger: Ledger, known_to: Mapping[int, int]) -> None:
        """Takes a snapshot; all pending trials are in the storage."""
        states = {}
        for name, plugin in (self._plugins or {}).items():
            state = self._assembly.manager.guard(name, "state_dict", plugin.state_dict)
            states[name] = check_state(state, f"{name}, state_dict")
        snapshot = Snapshot(
            len(ledger.view.trials),
            ledger.view.proposed,
            [known_to[trial.number] for trial in ledger.view.pending],
            sorted(ledger.book.works.outcomes),
            states,
        )
        self._storage.write_snapshot(msgspec.to_builtins(snapshot))
        self._at = time.monotonic()

    def last(self, recorded: Mapping[int, Trial]) -> Snapshot | None:
        """Returns the last snapshot, or None if the run must be walked from the start."""
        data = self._storage.snapshot()
        if data is None or self._plugins is None:
            return None
        snapshot = msgspec.convert(data, Snapshot)
        if set(snapshot.plugins) != set(self._plugins):
            return None
        if any(number not in recorded for number in range(snapshot.proposed)):
            return None
        if not all(recorded[number].finished for number in range(snapshot.observed)):
            return None
        limit = self._assembly.spec.budget.trials
        if limit is not None and snapshot.proposed > limit:
            return None  # a shorter run than before: walk it from the start
        return snapshot

    def load(self, snapshot: Snapshot) -> None:
        """Gives every plugin its state back."""
        for name, plugin in (self._plugins or {}).items():
            self._assembly.manager.guard(name, "load_state_dict", plugin.load_state_dict, snapshot.plugins[name])
        self._restored = snapshot.observed


def _stateful(assembly: Assembly) -> dict[str, _Stateful] | None:
    """Plugins whose state a snapshot must hold; None if one of them cannot be saved, so that all is replayed."""
    found: dict[str, _Stateful] = {}
    for name, plugin in {**dict(assembly.manager.who("propose")), **dict(assembly.manager.who("observe"))}.items():
        if name in ("enqueue", "warm start"):
            continue
        if not isinstance(plugin, _Stateful):
            return None
        found[name] = plugin
    return found


def check_same(recorded: Trial, proposal: Proposal, path: Path | None) -> None:
    """Refuses a proposal that is not the recorded one.

    Raises:
        ReplayError: A plugin or a library behaves differently from the one that wrote the file.
    """
    before = recorded.proposal
    if same_proposal(before, proposal):
        return
    raise ReplayError(
        f"trial {recorded.number} would be proposed differently now than when the file was written",
        where=str(path),
        why=f"recorded {before.architecture.key}, now {proposal.architecture.key}; a plugin or a library behaves "
        "differently from the one that wrote the file",
        fix="resume with the versions that `nasplug trials --json` shows, or start a new file",
    )


def copied(trial: Trial, source: Trial) -> Trial:
    """Returns a trial with the results of another one."""
    return trial.with_(
        state=source.state,
        metrics=source.metrics,
        costs=source.costs,
        measurements=source.measurements,
        artifacts=source.artifacts,
        checksums=source.checksums,
        failure=source.failure,
        reason=source.reason,
        edits=source.edits,
        stages=source.stages,
        dropped=source.dropped,
    )


def same_proposal(one: Proposal, other: Proposal) -> bool:
    """Returns whether two proposals are equal in every field."""
    if one is other:
        return True
    return one.architecture == other.architecture and _SORTED.encode(one) == _SORTED.encode(other)


_SORTED = msgspec.json.Encoder(order="sorted")
