"""The ledger: who writes down what was proposed and what came of it. Drivers hold it, and tests of strategies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from nasplug.contract.errors import StudyError
from nasplug.contract.labels import labeller
from nasplug.contract.protocols import HasLabels
from nasplug.contract.records import Architecture, Budget, Constraint, Direction, Objective, Proposal, Trial
from nasplug.ledger.facts import Facts
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.study import Opened, Study
from nasplug.ledger.view import Book, Setting, StudyView
from nasplug.ledger.work import Outcome, Request, Works

if TYPE_CHECKING:
    from collections.abc import Callable

    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task


class _More(TypedDict, total=False):
    task: Task | None
    target: HardwareTarget | None
    folder: Path | None
    meta: Facts


class Ledger:
    """Writes down trials; `view` is what hooks may see of them.

    Example:
        >>> from nasplug.testing import SyntheticSpace
        >>> ledger = Ledger.of(SyntheticSpace(), {"score": "max"})
        >>> trial = ledger.propose(ledger.view.proposal(SyntheticSpace().architecture([0, 1, 2, 0, 1, 2])))
        >>> ledger.observe(trial.with_(state="complete", metrics={"score": 0.5}))
        >>> ledger.view.best.number
        0

    Args:
        setting: Subject of the study.
        works: Outcomes of work, shared with the study that this one is nested in.
    """

    def __init__(self, setting: Setting | None = None, *, works: Works | None = None) -> None:
        self.setting = setting or Setting()
        self.book = Book(works=works or Works())
        self.view = StudyView(self.setting, self.book)
        self._label: Callable[[Architecture], str] | None = None  # made with the first proposal: workers make none

    @classmethod
    def of(
        cls,
        space: SearchSpace | None = None,
        objectives: Mapping[str, Direction] | Sequence[Objective] = (),
        *,
        constraints: Sequence[str | Constraint] = (),
        seed: int = 0,
        epochs: int = 1,
        trials: Iterable[Trial] = (),
        **more: Unpack[_More],
    ) -> Ledger:
        """Makes a ledger from plain values; for tests and notebooks.

        Args:
            space: Search space.
            objectives: Metric or cost to `max` or `min`, or records of that.
            constraints: Hard bounds such as `"macs <= 5e6"`.
            seed: Seed of every random stream.
            epochs: Default budget of a trial.
            trials: Trials to take down, finished or pending.
            **more: Further fields of `Setting`.
        """
        ledger = cls(
            Setting(
                space=space,
                objectives=tuple(
                    [Objective(name, direction) for name, direction in objectives.items()]
                    if isinstance(objectives, Mapping)
                    else objectives
                ),
                constraints=tuple(
                    item if isinstance(item, Constraint) else Constraint.parse(item) for item in constraints
                ),
                seed=seed,
                budget=Budget(epochs),
                **more,
            )
        )
        ledger.restore(trials)
        return ledger

    def propose(self, proposal: Proposal | Trial) -> Trial:
        """Takes down a proposal and numbers it, or a pending trial as it is.

        Raises:
            StudyError: A trial of that number is there already.
        """
        if isinstance(proposal, Proposal):
            number = self.view.proposed
            seed = derived_seed(self.setting.seed, "trial", number) if proposal.seed is None else proposal.seed
            if self._label is None:
                self._label = labeller(self.setting.space) if isinstance(self.setting.space, HasLabels) else _no_label
            trial = Trial(number, proposal, seed=seed, label=self._label(proposal.architecture))
        else:
            trial = proposal
        if trial.number in self.book.pending or trial.number in self.book.by_number:
            raise StudyError(f"trial {trial.number} was proposed already")
        self.book.pending[trial.number] = trial
        return trial

    def observe(self, trial: Trial) -> None:
        """Takes down what became of a trial.

        Raises:
            StudyError: The trial is not finished, or was observed already.
        """
        if not trial.finished:
            raise StudyError(f"trial {trial.number} is {trial.state}, not finished")
        if trial.number in self.book.by_number:
            raise StudyError(f"trial {trial.number} was observed already")
        self.book.pending.pop(trial.number, None)
        self.book.trials.append(trial)
        self.book.by_number[trial.number] = trial

    def replace(self, trial: Trial) -> None:
        """Replaces the entry of a finished trial, whose result stays what it was.

        Raises:
            StudyError: The trial was not observed.
        """
        before = self.book.by_number.get(trial.number)
        if before is None:
            raise StudyError(f"trial {trial.number} was not observed")
        position = trial.number if self.book.trials[trial.number : trial.number + 1] == [before] else None
        self.book.trials[self.book.trials.index(before) if position is None else position] = trial
        self.book.by_number[trial.number] = trial
        self.book.replaced += 1

    def restore(self, trials: Iterable[Trial]) -> None:
        """Takes down trials as a storage has them: finished ones as observed, others as pending."""
        trials = list(trials)
        by_number = {trial.number: trial for trial in trials}
        if not self.view.proposed and len(by_number) == len(trials) and all(trial.finished for trial in trials):
            self.book.trials += trials  # a whole study at once
            self.book.by_number |= by_number
            return
        for trial in trials:
            if trial.finished:
                self.observe(trial)
            else:
                self.propose(trial)

    @property
    def requested(self) -> list[Request]:
        """Work that was asked for and is not done, with the trials that it may see."""
        return list(self.book.works.requested.values())

    def answer(self, outcome: Outcome) -> None:
        """Takes down what became of a piece of work."""
        self.book.works.answer(outcome)

    def result(self, opened: Callable[[], Opened] | None = None, *, folder: Path | None = None) -> Study:
        """Returns the study as a user holds it, with the same entries.

        Args:
            opened: Composes the run when somebody asks for the task or a network.
            folder: Folder of artifacts, if not that of the setting.
        """
        if self.setting.folder is None and folder is None:
            folder = self.view.artifacts()
            study = Study(replace(self.setting, folder=folder), self.book, opened)
            study.keep_alive(self.view)  # its temporary folder must not go before the study does
            return study
        return Study(replace(self.setting, folder=folder or self.setting.folder), self.book, opened)


def _no_label(architecture: Architecture) -> str:
    """What a trial is called whose space has no names."""
    return ""
