"""The driver: propose, run, observe, in an order that the specification alone decides.

Proposal k is made when exactly the first k - batch + 1 trials are observed, and trials are observed in the order of
their numbers. Neither the number of workers nor which of them is faster can change what a strategy sees. A resumed run
walks the same way again: where the file already has a result the loop takes it instead of running the trial, and where
it has a proposal the strategy must propose the very same.

Work of a strategy goes the same way: its outcome is handed over at the moment at which the strategy waits for it, with
nothing observed in between, whether it was done now or is in the file.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

from nasplug.contract.errors import PluginError, StudyError
from nasplug.contract.protocols import Executor
from nasplug.contract.records import BASELINE, Proposal, Trial
from nasplug.contract.tracker import Plan, Tracker
from nasplug.contract.wording import plural
from nasplug.ledger.comparison import described
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.storage import Storage
from nasplug.run.answers import Answers
from nasplug.run.assemble import Assembly
from nasplug.run.executors.launch import Launch
from nasplug.run.giving_up import GiveUp
from nasplug.run.hints import Hints
from nasplug.run.jobs import Job, Message, Progress
from nasplug.run.keeping import Keeper
from nasplug.run.rehearsal import NUMBER, can_rehearse, rehearsal_job
from nasplug.run.resume import Snapshots, check_same, copied
from nasplug.run.retry import Revision
from nasplug.run.reviewing import check_proposals
from nasplug.run.warm import Warm
from nasplug.run.workqueue import WorkQueue

_log = logging.getLogger("nasplug")

#: How often a strategy may ask for work in a row, without a proposal in between.
WORK_IN_A_ROW = 10_000
#: Seconds below which nobody looks at a running trial: it is written once, when it is finished.
QUICK = 0.05


class Search:
    """One run of a specification.

    Args:
        assembly: The configured plugins.
        ledger: An empty ledger, made by the assembly.
        storage: Storage of the trials; may hold the beginning of this very run.
        executor: Executor of the jobs; started with the first one.
        objects: Ready-made objects for worker processes.
        trackers: Trackers that follow the run, beside those of the specification.
        snapshot_every: Seconds between snapshots of the strategy; what lies after the last one is replayed on resume.
        recorded: Trials that the storage holds, if they have been read already.
        baseline: The baseline that the storage holds, if it is the one that is asked for.
        warm: Trials of another study, which stand at the beginning with their results.
    """

    def __init__(
        self,
        assembly: Assembly,
        ledger: Ledger,
        storage: Storage,
        executor: Executor,
        *,
        objects: Mapping[str, object] | None = None,
        trackers: Iterable[Tracker] = (),
        snapshot_every: float = 5.0,
        recorded: Sequence[Trial] | None = None,
        baseline: Trial | None = None,
        warm: Warm | None = None,
    ) -> None:
        self.assembly, self.ledger, self.storage = assembly, ledger, storage
        self.spec, self.study = assembly.spec, ledger.view
        self.trackers = [*trackers, *assembly.trackers]
        self._executor = Answers(executor, self.spec.run.executor.name, assembly.manager)
        self._started, self._objects = False, objects or {}
        recorded = storage.trials() if recorded is None else recorded
        self._recorded = {trial.number: trial for trial in recorded}
        self._revision = Revision(storage, self._recorded)
        self._works = WorkQueue(ledger, storage, self._executor, self._send, self._collect, self.spec.strategy.name)
        self._results: dict[int, Trial] = {}
        self._identities: dict[tuple[object, ...], int] = {}
        # How many trials were observed when a pending one was proposed: a trial that runs after a resume must know as
        # much as it would have known then, however far the study has come since.
        self._known_to: dict[int, int] = {}
        # Once the end of the budget keeps back a proposal, this run is no longer a prefix of a longer one,
        # and a snapshot must not be taken: the longer run resumes from an earlier one.
        self._cut = False
        # Pending trials that are not in the file yet, since the last trial took less than it takes to look.
        self._unwritten: dict[int, Trial] = {}
        self._quick = False
        self._give_up, self._ran = GiveUp(self.spec.run.give_up_after), set[int]()
        worked = any(trial.state in ("complete", "pruned") for trial in self._recorded.values())
        self._rehearses = self.spec.run.rehearse and not worked and can_rehearse(assembly)
        self._hints = Hints(self.spec.constraints)
        self._keeper = Keeper(
            self.spec.run.keep,
            ledger,
            storage,
            checkpoints=assembly.keeps_checkpoints,
            needs=getattr(assembly.strategy, "needs_weights", None),
        )
        self.baseline, self._warm = baseline, warm or Warm(())
        self._compares = baseline is None and assembly.baseline is not None
        self._now = 0.0  # on the simulated clock, if there is one
        self._snapshots = Snapshots(assembly, storage, snapshot_every)

    @property
    def resumed(self) -> int:
        """How many finished trials the storage held at the start."""
        return sum(trial.finished for trial in self._recorded.values())

    def run(self) -> None:
        """Runs to the end of the budget, or until the strategy has nothing more.

        Raises:
            NasplugError: Storage, plugins or replay fail. Candidates never make it raise.
            KeyboardInterrupt: Passed on; the study file resumes.
        """
        budget = self.spec.budget
        deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
        kill = True
        try:
            plan = Plan(budget.trials, budget.seconds, self.resumed, self.spec.run.workers)
            self._tell(lambda tracker: tracker.started(self.study, plan))
            if budget.trials is not None and len(self._recorded) > budget.trials:
                self._say(
                    f"the study holds {plural(len(self._recorded), 'trial')} and budget.trials is {budget.trials}: "
                    f"the first {budget.trials} are taken, and the file keeps all"
                )
            self._restore()
            while True:
                if deadline is None or time.monotonic() < deadline:
                    self._propose()
                else:
                    self._cut = True
                if not self.ledger.book.pending:
                    break
                self._observe(self._result(self._next()))
            self._start_baseline()
            while self.baseline is not None and not self.baseline.finished:
                self._collect()
            kill = False
        finally:
            if self._started:
                self._executor.close(kill=kill)
            self._tell(lambda tracker: tracker.ended())

    # -- propose -------------------------------------------------------------------------------------------------

    def _propose(self) -> None:
        limit = self.spec.budget.trials
        in_a_row = 0
        while True:
            room = self.spec.run.batch - len(self.ledger.book.pending)
            if limit is not None and room > limit - self.study.proposed:
                room = limit - self.study.proposed
                self._cut = True
            if room <= 0:
                return
            proposals = self.assembly.manager.call("propose", study=self.study, count=room)
            requested = self.ledger.requested
            if requested and not getattr(self.assembly.strategy, "hyperparameters", ()):
                self._rehearse([])  # before work that may take long
            for request in requested:
                self._works.start(request)
            if proposals is None or (isinstance(proposals, list) and not proposals):
                if not requested:
                    return
                in_a_row += 1
                if in_a_row > WORK_IN_A_ROW:
                    raise PluginError(
                        f"asked for work {WORK_IN_A_ROW:,} times in a row and proposed nothing",
                        where=f"strategy {self.spec.strategy.name!r}, hook propose",
                        fix="return proposals once the outcomes are there",
                    )
                self._works.finish([request.work.key for request in requested])
                continue
            check_proposals(proposals, room, self.study, self.spec.strategy.name)
            in_a_row = 0
            first = self.study.proposed
            if not all(self._has_result(first + i) for i in range(len(proposals))):
                self._rehearse(proposals)
            fresh = [self._admit(proposal) for proposal in proposals]
            new = [trial for trial in fresh if trial.number not in self._recorded]
            again = self._revision.changed()
            self._unwritten.update({trial.number: trial for trial in [*new, *again]})
            if again or not self._quick:
                self._show()
            if new:
                self._start_baseline()
            for trial in fresh:
                self._submit(trial)

    def _rehearse(self, proposals: list[Proposal]) -> None:
        """Tries a network for one batch before the first trial, where the trials would run."""
        if not self._rehearses:
            return
        self._rehearses = False
        job = rehearsal_job(self.study, proposals)
        if job is None:
            return
        self._send(job)
        while not any(isinstance(done, Trial) and done.number == NUMBER for done in self._executor.finished()):
            pass  # nothing else runs yet

    def _start_baseline(self) -> None:
        """Hands the network to compare with to the executor, once, beside the first trial that runs."""
        if self._compares and self.assembly.baseline is not None:
            self._compares = False
            self._works.prepare(self.assembly.manager)
            self.baseline = self.assembly.baseline.trial(self.study.seed)
            self._send(Job(self.baseline))

    def _take_baseline(self, trial: Trial) -> None:
        self.baseline = trial
        asked = None if self.spec.baseline is None else self.spec.baseline.to_plain()
        self.storage.write_meta({"baseline": {"asked": asked, "trial": json.loads(trial.encode())}})
        line = described(trial, self.study.objectives)
        if trial.state == "complete":
            _log.info(line)
            self._tell(lambda tracker: tracker.noted(line))
        else:
            self._say(line)

    def _has_result(self, number: int) -> bool:
        recorded = self._recorded.get(number)
        if recorded is None and number < len(self._warm.trials):
            return True
        return recorded is not None and recorded.finished and not self._revision.covers(number)

    def _admit(self, proposal: Proposal) -> Trial:
        number = self.study.proposed
        recorded, revised = self._recorded.get(number), self._revision.covers(number)
        if recorded is not None and not revised:
            check_same(recorded, proposal, self.storage.path)
        trial = self.ledger.propose(proposal if recorded is None or revised else recorded)
        if not self.spec.run.remeasure and proposal.failure is None:
            trial = self.ledger.book.pending[number] = self._as_copy(trial, None if revised else recorded)
        if revised:
            trial = self.ledger.book.pending[number] = self._revision.admit(trial)
        if recorded is None and number < len(self._warm.trials):
            trial = self.ledger.book.pending[number] = self._warm.result(trial)
        self._known_to[number] = len(self.study.trials)
        return trial

    def _as_copy(self, trial: Trial, recorded: Trial | None) -> Trial:
        """A trial of a known identity copies the first one; where that lost its files, it does the same once more."""
        identity = trial.proposal.identity()
        first = self._identities.setdefault(identity, trial.number)
        if first == trial.number:
            return trial
        source = self.study.trial(first)
        # The file knows how it was: by now, the files of the first one may be gone that were there then.
        copies = self._keeper.shares_files(source) if recorded is None else recorded.copied_from is not None
        if copies:
            return trial.with_(copied_from=first)
        self._identities[identity] = trial.number
        return trial.with_(seed=source.seed)

    def _submit(self, trial: Trial) -> None:
        if trial.finished:
            self._results[trial.number] = trial
        elif trial.proposal.failure is not None:
            self._results[trial.number] = self._finish(trial.with_(state="failed", failure=trial.proposal.failure))
        elif trial.copied_from is None:
            known = self._known_to[trial.number]
            history = tuple(self.study.trials[:known]) if self.assembly.needs_history else ()
            parent = trial.proposal.parent
            self._works.prepare(self.assembly.manager)
            self._send(Job(trial, None, history, None if parent is None else self.study.trial(parent)))
            if self.trackers:
                self._tell(lambda tracker: tracker.submitted(trial))

    def _send(self, job: Job) -> None:
        if not self._started:
            # At the first real job: a resumed run that is already complete starts no process. Workers have studies of
            # their own: what they write must land where this one will look.
            self._check_resumed()
            self._introduce()
            self._executor.start(
                Launch(self.assembly, self.study.artifacts(), self._executor.heard, self._objects), self._emit
            )
            self._started = True
        self._executor.submit(job)

    def _emit(self, key: int | str, message: Message) -> None:
        self._show()
        if isinstance(message, Progress):
            self._tell(lambda tracker: tracker.worked(message.key, message.share, message.metrics))
        elif key == BASELINE:
            epochs = max(1, self.study.budget.epochs)
            share = min(1.0, message.step / epochs)
            self._tell(lambda tracker: tracker.worked("baseline", share, message.metrics))
        elif isinstance(key, int):
            self._tell(lambda tracker: tracker.measured(key, message))

    def _check_resumed(self) -> None:
        """Lets plugins look whether what they use beside the specification is what earlier trials used."""
        if not self._recorded:
            return
        for name, plugin in self.assembly.manager.named():
            check = getattr(plugin, "check_resumed", None)
            if check is not None:
                self.assembly.manager.guard(name, "check_resumed", check, list(self._recorded.values()))

    def _introduce(self) -> None:
        """Says what the data are and writes down how many, where the task can tell."""
        describe = getattr(self.assembly.task, "describe_data", None)
        if describe is not None:
            line = describe()
            _log.info(line)
            self._tell(lambda tracker: tracker.noted(line))
        samples = getattr(self.assembly.task, "samples", None) or {}
        if samples != self.study.meta.get("samples", {}):
            self.study.meta["samples"] = samples
            self.storage.write_meta({"samples": samples})

    def _remark(self, trial: Trial) -> None:
        """Says what the task finds striking about a trial, such as that its network answers one class alone."""
        remark = getattr(self.assembly.task, "remark", None)
        said = None if remark is None else remark(trial.metrics)
        if said is not None:
            self._say(f"trial {trial.number}: {said}")

    def _say(self, hint: str) -> None:
        if self.trackers:
            self._tell(lambda tracker: tracker.noted(hint))
        else:
            warnings.warn(hint, RuntimeWarning, stacklevel=2)

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for tracker in self.trackers:
            if tracker in self.assembly.trackers:
                self.assembly.manager.guard(f"tracker {type(tracker).__name__}", "a method", what, tracker)
            else:
                what(tracker)  # the caller's own, which may want to end the run

    # -- observe -------------------------------------------------------------------------------------------------

    def _next(self) -> int:
        """The pending trial to observe now: the oldest, or the first to end on the simulated clock."""
        pending, ends = self.ledger.book.pending, self.ledger.book.ends
        if self.spec.run.clock is None:
            return next(iter(pending))
        for number, trial in pending.items():
            if number not in ends:  # proposed just now
                ends[number] = self._end_of(trial, self.spec.run.clock)
        first = min(pending, key=lambda number: (ends[number], number))
        self._now = ends[first]
        return first

    def _end_of(self, trial: Trial, clock: str) -> float:
        """A copy takes no time, but cannot be there before its source; a trial without the metric takes none."""
        if trial.copied_from is not None:
            return max(self._now, self.ledger.book.ends[trial.copied_from])
        seconds = self._wait_for(trial.number).metrics.get(clock, 0.0)
        return self._now + (seconds if seconds > 0 else 0.0)

    def _result(self, number: int) -> Trial:
        pending = self.ledger.book.pending[number]
        if pending.copied_from is not None and not pending.finished:
            return self._finish(copied(pending, self.study.trial(pending.copied_from)))
        self._wait_for(number)
        return self._results.pop(number)

    def _wait_for(self, number: int) -> Trial:
        while number not in self._results:
            self._collect()
        return self._results[number]

    def _collect(self) -> None:
        """Takes over what the executor has finished; waits until there is something."""
        if not self._started:
            raise StudyError("the driver waits for a result, but nothing was submitted")
        for done in self._executor.finished():
            if isinstance(done, Trial) and done.number == BASELINE:
                self._take_baseline(done)
            elif isinstance(done, Trial):
                self._results[done.number] = self._finish(done)
                self._ran.add(done.number)
            else:
                self._works.take(done)

    def _finish(self, trial: Trial) -> Trial:
        self._unwritten.pop(trial.number, None)
        before = [number for number in self._unwritten if number < trial.number]  # the file never has a gap
        self.storage.write([*map(self._unwritten.pop, before), trial])
        self._quick = trial.seconds < QUICK
        return trial

    def _show(self) -> None:
        """Writes what is pending, for those who look on and for a resume."""
        if self._unwritten:
            self.storage.write(list(self._unwritten.values()))
            self._unwritten.clear()

    def _observe(self, trial: Trial) -> None:
        self.ledger.observe(trial)
        self._known_to.pop(trial.number)
        self.assembly.manager.call("observe", study=self.study, trial=trial)
        if self.trackers:
            self._tell(lambda tracker: tracker.observed(trial))
        if trial.number in self._ran and trial.state == "complete":
            self._remark(trial)
        self._give_up.observe(trial, ran=trial.number in self._ran)
        self._ran.discard(trial.number)
        self._keeper.observed(trial)
        hint = self._hints.observed(self.study.trials)
        if hint is not None:
            self._say(hint)
        if not self._cut and self._snapshots.due(self.ledger):
            self._show()
            self._snapshots.take(self.ledger, self._known_to)

    # -- resume --------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Takes up the last snapshot, if there is one; the loop replays what came after it."""
        snapshot = self._snapshots.last(self._recorded)
        if snapshot is None:
            return
        if not self._works.restorable(snapshot.work):
            return  # the way from the start does the lost work again where the strategy asks for it
        for number in range(snapshot.proposed):
            self._admit(self._recorded[number].proposal)
        for trial in [self._recorded[number] for number in range(snapshot.observed)]:
            self.ledger.observe(trial)
            self._known_to.pop(trial.number)
            self._give_up.observe(trial, ran=False)
            self._tell(lambda tracker, trial=trial: tracker.observed(trial))  # type: ignore[misc]
        self._known_to = dict(zip(self._known_to, snapshot.known, strict=True))
        self._works.restore(snapshot.work)
        self._snapshots.load(snapshot)
        for trial in self.study.pending:
            self._submit(trial)
