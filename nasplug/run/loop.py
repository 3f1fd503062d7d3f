"""The driver: propose, run, observe, in an order that the specification alone decides.

Proposal k is made when exactly the first k - batch + 1 trials are observed, and trials are observed in the order of
their numbers. Neither the number of workers nor which of them is faster can change what a strategy sees. A resumed run
walks the same way again: where the file already has a result the loop takes it instead of running the trial, and where
it has a proposal the strategy must propose the very same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from nasplug.contract.errors import PluginError, ReplayError
from nasplug.contract.records import Measurement, Proposal, Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.storage import Storage
from nasplug.ledger.study import Study
from nasplug.run.assemble import Assembly
from nasplug.run.executors import EXECUTORS, Executor
from nasplug.run.worker import Job

#: Seconds between snapshots of the strategy; what lies after the last one is replayed on resume.
SNAPSHOT_EVERY = 5.0


class Listener(Protocol):
    """Watches a run; for progress displays. Every method may be called often and must be quick."""

    def started(self, search: Search) -> None:
        """Before the first proposal."""

    def submitted(self, trial: Trial) -> None:
        """A trial was handed to the executor."""

    def measured(self, number: int, measurement: Measurement) -> None:
        """A running trial reported a step."""

    def observed(self, trial: Trial) -> None:
        """A trial is finished and known to the strategy."""

    def ended(self) -> None:
        """Nothing more will come."""


class Search:
    """One run of a specification.

    Args:
        assembly: The configured plugins.
        study: An empty study, made by the assembly.
        storage: Where trials are kept; may hold the beginning of this very run.
        objects: Ready-made objects for worker processes.
        listener: Watches.
    """

    def __init__(
        self,
        assembly: Assembly,
        study: Study,
        storage: Storage,
        *,
        objects: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.assembly, self.study, self.storage, self.listener = assembly, study, storage, listener
        self.spec = assembly.spec
        self._objects = objects or {}
        self._hook = assembly.manager.hook
        self._recorded = {trial.number: trial for trial in storage.trials()}
        self._results: dict[int, Trial] = {}
        self._identities: dict[tuple[Any, ...], int] = {}
        # How many trials were observed when a pending one was proposed: a trial that runs after a resume must know as
        # much as it would have known then, however far the study has come since.
        self._known_to: dict[int, int] = {}
        self._executor: Executor | None = None
        # Once the end of the budget keeps back a proposal, the way of this run is no prefix of a longer run's any more,
        # and a snapshot must not be taken: the longer run resumes from an earlier one.
        self._cut = False
        self._restored = 0
        self._now = 0.0  # on the simulated clock, if there is one
        self._stateful = self._stateful_plugins()
        self._snapshot_at = time.monotonic()

    @property
    def resumed(self) -> int:
        """How many finished trials the storage held at the start."""
        return sum(trial.finished for trial in self._recorded.values())

    def run(self) -> Study:
        """Runs to the end of the budget, or until the strategy has nothing more.

        Raises:
            NasplugError: Storage, plugins or replay fail. Candidates never make it raise.
            KeyboardInterrupt: Passed on; the study file resumes.
        """
        deadline = None if self.spec.budget.seconds is None else time.monotonic() + self.spec.budget.seconds
        self._restore()
        kill = True
        try:
            if self.listener:
                self.listener.started(self)
            while True:
                if deadline is None or time.monotonic() < deadline:
                    self._propose()
                else:
                    self._cut = True
                if not self.study._pending:
                    break
                self._observe(self._result(self._next()))
            kill = False
        finally:
            if self._executor is not None:
                self._executor.close(kill=kill)
            if self.listener:
                self.listener.ended()
        return self.study

    # -- propose -------------------------------------------------------------------------------------------------

    def _propose(self) -> None:
        limit = self.spec.budget.trials
        while True:
            room = self.spec.run.batch - len(self.study._pending)
            if limit is not None and room > limit - self.study.proposed:
                room = limit - self.study.proposed
                self._cut = True
            if room <= 0:
                return
            proposals = self._hook.propose(study=self.study, count=room)
            if not proposals:
                return
            self._check(proposals, room)
            fresh = [self._admit(proposal) for proposal in proposals]
            new = [trial for trial in fresh if trial.number not in self._recorded]
            if new:
                self.storage.write(new)
            for trial in fresh:
                self._submit(trial)

    def _check(self, proposals: Any, room: int) -> None:
        strategy = f"strategy {self.spec.strategy.name!r}"
        if not isinstance(proposals, list) or not all(isinstance(item, Proposal) for item in proposals):
            raise PluginError(
                "propose returns a list of Proposal records", where=strategy, why=f"got {proposals!r:.200}"
            )
        if len(proposals) > room:
            raise PluginError(f"proposed {len(proposals)} trials when {room} were wanted", where=strategy)
        for proposal in proposals:
            if proposal.architecture.space != self.study.space.name:
                raise PluginError(
                    f"proposed an architecture of space {proposal.architecture.space!r}, not {self.study.space.name!r}",
                    where=strategy,
                )
            if proposal.parent is not None and proposal.parent not in self.study._by_number:
                raise PluginError(f"names trial {proposal.parent} as parent, which is not finished", where=strategy)

    def _admit(self, proposal: Proposal) -> Trial:
        number = self.study.proposed
        recorded = self._recorded.get(number)
        if recorded is not None and not _same(recorded.proposal, proposal):
            raise ReplayError(
                f"trial {number} would be proposed differently now than when the file was written",
                where=str(self.storage.path),
                why=f"recorded {recorded.proposal.architecture.key}, now {proposal.architecture.key}; a plugin or a "
                "library behaves differently from the one that wrote the file",
                fix="resume with the versions that `nasplug trials --json` shows, or start a new file",
            )
        trial = recorded or Trial(number, proposal, seed=derived_seed(self.study.seed, "trial", number))
        if not self.spec.run.remeasure and proposal.failure is None:
            first = self._identities.setdefault(proposal.identity(), number)
            if first != number:
                trial = trial.with_(copied_from=first)
        self.study._propose(trial)
        self._known_to[number] = len(self.study.trials)
        return trial

    def _submit(self, trial: Trial) -> None:
        if trial.finished:
            self._results[trial.number] = trial
        elif trial.proposal.failure is not None:
            self._results[trial.number] = self._finish(trial.with_(state="failed", failure=trial.proposal.failure))
        elif trial.copied_from is None:
            if self._executor is None:
                self._executor = self._make_executor()
            known = self._known_to[trial.number]
            history = tuple(self.study.trials[:known]) if self.assembly.needs_history else ()
            parent = trial.proposal.parent
            self._executor.submit(Job(trial, history, None if parent is None else self.study.trial(parent)))
            if self.listener:
                self.listener.submitted(trial)

    def _make_executor(self) -> Executor:
        # Made at the first real job: a resumed run that is already complete starts no process.
        # Workers have studies of their own: what they write must land where this one will look.
        folder = self.study.folder or self.study.artifacts()
        emit = self.listener.measured if self.listener else _ignore
        return EXECUTORS[self.spec.run.executor](self.assembly, folder, emit, self._objects)

    # -- observe -------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        """The pending trial to observe now: the oldest, or the first to end on the simulated clock."""
        pending = self.study._pending
        if self.spec.run.clock is None:
            return next(iter(pending))
        ends = self.study._ends
        for number, trial in pending.items():
            if number not in ends:  # proposed just now
                ends[number] = self._end_of(trial, self.spec.run.clock)
        first = min(pending, key=lambda number: (ends[number], number))
        self._now = ends[first]
        return first

    def _end_of(self, trial: Trial, clock: str) -> float:
        """A copy takes no time, but cannot be there before its source; a trial without the metric takes none."""
        if trial.copied_from is not None:
            return max(self._now, self.study._ends[trial.copied_from])
        seconds = self._wait_for(trial.number).metrics.get(clock, 0.0)
        return self._now + (seconds if seconds > 0 else 0.0)

    def _result(self, number: int) -> Trial:
        pending = self.study._pending[number]
        if pending.copied_from is not None and not pending.finished:
            return self._finish(_copy(pending, self.study.trial(pending.copied_from)))
        self._wait_for(number)
        return self._results.pop(number)

    def _wait_for(self, number: int) -> Trial:
        while number not in self._results:
            assert self._executor is not None
            for trial in self._executor.finished():
                self._results[trial.number] = self._finish(trial)
        return self._results[number]

    def _finish(self, trial: Trial) -> Trial:
        self.storage.write([trial])
        return trial

    def _observe(self, trial: Trial) -> None:
        self.study._observe(trial)
        self._known_to.pop(trial.number)
        self._hook.observe(study=self.study, trial=trial)
        if self.listener:
            self.listener.observed(trial)
        self._snapshot()

    # -- state ---------------------------------------------------------------------------------------------------

    def _stateful_plugins(self) -> dict[str, Any] | None:
        """Plugins whose state a snapshot must hold; None if one of them cannot be saved, so that all is replayed."""
        found = {}
        driver = {impl.plugin_name: impl.plugin for impl in self._hook.propose.get_hookimpls()}
        driver |= {impl.plugin_name: impl.plugin for impl in self._hook.observe.get_hookimpls()}
        for name, plugin in driver.items():
            if name == "enqueue":
                continue
            if not (hasattr(plugin, "state_dict") and hasattr(plugin, "load_state_dict")):
                return None
            found[name] = plugin
        return found

    def _snapshot(self) -> None:
        if self._stateful is None or self.storage.path is None or self._cut or self.spec.run.clock is not None:
            return  # on a simulated clock the observed trials are no prefix; a resumed run replays them
        if time.monotonic() - self._snapshot_at < SNAPSHOT_EVERY or len(self.study.trials) <= self._restored:
            return
        self.storage.write_snapshot(
            {
                "observed": len(self.study.trials),
                "proposed": self.study.proposed,
                "known": [self._known_to[trial.number] for trial in self.study.pending],
                "plugins": {name: plugin.state_dict() for name, plugin in self._stateful.items()},
            }
        )
        self._snapshot_at = time.monotonic()

    def _restore(self) -> None:
        """Takes up the last snapshot, if there is one; the loop replays what came after it."""
        snapshot = self.storage.snapshot()
        if snapshot is None or self._stateful is None or set(snapshot["plugins"]) != set(self._stateful):
            return
        if "known" not in snapshot:
            return  # of an earlier version: everything is replayed, which is just as exact
        observed, proposed = snapshot["observed"], snapshot["proposed"]
        known = [self._recorded.get(number) for number in range(proposed)]
        if any(trial is None for trial in known) or not all(t is not None and t.finished for t in known[:observed]):
            return
        limit = self.spec.budget.trials
        if limit is not None and proposed > limit:
            return  # a shorter run than before: walk it from the start
        for trial in known:
            assert trial is not None
            self._admit(trial.proposal)
        for trial in known[:observed]:
            assert trial is not None
            self.study._observe(trial)
            self._known_to.pop(trial.number)
        self._known_to = dict(zip(self._known_to, snapshot["known"], strict=True))
        for name, plugin in self._stateful.items():
            plugin.load_state_dict(snapshot["plugins"][name])
        for trial in self.study.pending:
            self._submit(trial)
        self._restored = observed


def _copy(trial: Trial, source: Trial) -> Trial:
    return trial.with_(
        state=source.state,
        metrics=source.metrics,
        costs=source.costs,
        measurements=source.measurements,
        artifacts=source.artifacts,
        checksums=source.checksums,
        failure=source.failure,
        reason=source.reason,
    )


def _same(first: Proposal, second: Proposal) -> bool:
    if first.architecture != second.architecture:
        return False
    return json.dumps(first.to_json(), sort_keys=True) == json.dumps(second.to_json(), sort_keys=True)


def _ignore(number: int, measurement: Measurement) -> None:
    """Nobody watches."""
