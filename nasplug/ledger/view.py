"""The study as hooks see it: everything that may be known now, and nothing that can be changed."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from nasplug.contract.errors import StudyError
from nasplug.contract.jsondata import Json
from nasplug.contract.labels import labeller
from nasplug.contract.records import (
    Architecture,
    Budget,
    Constraint,
    Failure,
    Inherit,
    Objective,
    Proposal,
    Scalar,
    Trial,
)
from nasplug.contract.wording import plural
from nasplug.ledger import pareto
from nasplug.ledger.artifacts import folder_of
from nasplug.ledger.facts import Facts
from nasplug.ledger.rng import stream
from nasplug.ledger.work import Outcome, Work, Works

if TYPE_CHECKING:
    import numpy as np

    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task
    from nasplug.ledger.ledger import Ledger


@dataclass(frozen=True)
class Setting:
    """What a study is about; does not change while it runs.

    Attributes:
        space: Search space; None if the study was opened without it.
        task: Task; None for a search on a table.
        objectives: Objectives to optimise; the first one is the main one.
        constraints: Hard bounds.
        seed: Seed of every random stream.
        budget: Default budget of a trial.
        target: Hardware target.
        folder: Folder of artifacts; None for a temporary one.
        meta: Facts about the run: specification, versions. JSON data.
    """

    space: SearchSpace | None = None
    task: Task | None = None
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    target: HardwareTarget | None = None
    folder: Path | None = None
    meta: Facts = field(default_factory=Facts)


@dataclass
class Book:
    """The entries of a ledger. Whoever holds it may write; views only read.

    Attributes:
        trials: Finished trials as they were observed.
        by_number: The same by number.
        pending: Trials that were proposed and not observed, by number, ascending.
        ends: Seconds on the simulated clock, by number.
        replaced: Number of entries that were replaced so far.
        works: Pieces of work that the strategy asked for.
    """

    trials: list[Trial] = field(default_factory=list)
    by_number: dict[int, Trial] = field(default_factory=dict)
    pending: dict[int, Trial] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    replaced: int = 0
    works: Works = field(default_factory=Works)


class ReadOnly(Sequence[Trial]):
    """A list that others cannot change; follows the one behind it."""

    __slots__ = ("_items",)

    def __init__(self, items: list[Trial]) -> None:
        self._items = items

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(other) == self._items

    def __hash__(self) -> int:
        return id(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


class StudyView:
    """The study with its objectives, constraints and random streams, as far as it may be known.

    `trials` holds exactly the finished trials that a hook may know, in order of their numbers, whatever the number of
    workers; trials that were proposed and not yet observed are in `pending`.

    Args:
        setting: Subject of the study.
        book: The entries to look at.
    """

    def __init__(self, setting: Setting, book: Book) -> None:
        self._setting, self._book = setting, book
        self._trials = ReadOnly(book.trials)
        # Candidates among the trials so far, which stay what they are until an entry is replaced.
        self._candidates: list[Trial] = []
        self._judged = (0, 0)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    # -- what it is about ----------------------------------------------------------------------------------------

    @property
    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            StudyError: The study was opened without one, e.g. from a file whose space is not installed.
        """
        if self._setting.space is None:
            raise StudyError("this study was opened without its search space")
        return self._setting.space

    @property
    def task(self) -> Task | None:
        """The task, or None for a search on a table."""
        return self._setting.task

    @property
    def target(self) -> HardwareTarget | None:
        """The hardware target, if any."""
        return self._setting.target

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What to optimise; the first one is the main one."""
        return self._setting.objectives

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Hard bounds."""
        return self._setting.constraints

    @property
    def seed(self) -> int:
        """Seed of every random stream."""
        return self._setting.seed

    @property
    def budget(self) -> Budget:
        """Default budget of a trial."""
        return self._setting.budget

    @property
    def meta(self) -> Facts:
        """Facts about the run: specification, versions. JSON data."""
        return self._setting.meta

    @property
    def setting(self) -> Setting:
        """Everything above in one record, for a study nested in this one."""
        return self._setting

    # -- what happened -------------------------------------------------------------------------------------------

    @property
    def trials(self) -> Sequence[Trial]:
        """Finished trials that may be known now, as they were observed.

        That is ascending by number, unless the run has a simulated clock.
        """
        return self._trials

    @property
    def pending(self) -> Sequence[Trial]:
        """Trials proposed and not yet observed, ascending by number."""
        return list(self._book.pending.values())

    @property
    def proposed(self) -> int:
        """How many trials were proposed so far: the number of the next trial."""
        return len(self._book.trials) + len(self._book.pending)

    def finished_at(self, trial: Trial) -> float:
        """Returns the seconds on the simulated clock at which a trial ended.

        Raises:
            StudyError: The run has no simulated clock.
        """
        if trial.number not in self._book.ends:
            raise StudyError("this study was not run on a simulated clock", fix="set run.clock to a metric")
        return self._book.ends[trial.number]

    def trial(self, number: int) -> Trial:
        """Returns the trial of that number, finished or pending.

        Raises:
            StudyError: There is none.
        """
        found = self._book.by_number.get(number) or self._book.pending.get(number)
        if found is None:
            raise StudyError(f"there is no trial {number}", fix="`nasplug trials FILE` lists them")
        return found

    def label(self, trial: Trial) -> str:
        """Returns a name of the trial's architecture for people, as its space gave it when it was proposed.

        Of a space that gives none, the values of the genotype.
        """
        return trial.label or labeller(self._setting.space)(trial.architecture)

    # -- which is best -------------------------------------------------------------------------------------------

    def violation(self, trial: Trial) -> float:
        """Returns the sum of relative constraint violations; 0.0 when all hold."""
        return pareto.violation(trial, self.constraints)

    def is_candidate(self, trial: Trial) -> bool:
        """Returns whether the trial is complete, finite in all objectives and keeps all constraints."""
        return pareto.is_candidate(trial, self.objectives, self.constraints)

    def candidates(self) -> list[Trial]:
        """Returns all trials that may be called best."""
        trials = self._book.trials
        if self._judged[0] != self._book.replaced:
            self._judged, self._candidates = (self._book.replaced, 0), []
        for trial in trials[self._judged[1] :]:
            if self.is_candidate(trial):
                self._candidates.append(trial)
        self._judged = (self._book.replaced, len(trials))
        return list(self._candidates)

    def score(self, trial: Trial) -> float:
        """Returns the main objective, signed so that larger is better; minus infinity for trials that do not count."""
        if not self.is_candidate(trial):
            return -float("inf")
        objective = self.objectives[0]
        return objective.sign * trial.values[objective.name]

    @property
    def best(self) -> Trial:
        """The best trial by the first objective, later objectives breaking ties.

        Raises:
            StudyError: No trial is complete and feasible.
        """
        candidates = self.candidates()
        if not candidates:
            raise StudyError(
                f"{plural(len(self._book.trials), 'finished trial')}, none of them complete and feasible, "
                "so there is no best one",
                fix="look at the reasons with `nasplug trials FILE`",
            )
        return max(candidates, key=lambda trial: pareto.best_key(trial, self.objectives))

    def pareto(self) -> list[Trial]:
        """Returns the non-dominated trials, best first by the first objective."""
        return pareto.pareto_front(self.candidates(), self.objectives)

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """Returns the dominated volume of the objective space; see `nasplug.ledger.pareto.hypervolume`."""
        return pareto.hypervolume(self.candidates(), self.objectives, reference)

    # -- for strategies ------------------------------------------------------------------------------------------

    def rng(self, role: str, index: int = 0) -> np.random.Generator:
        """Returns a random stream keyed by (seed, role, index).

        Args:
            role: Purpose of the numbers; start it with the name of your plugin.
            index: Index of the stream, e.g. a generation or `study.proposed`.
        """
        return stream(self.seed, role, index)

    def proposal(
        self,
        architecture: Architecture,
        hyperparameters: Mapping[str, Scalar] | None = None,
        *,
        epochs: int | None = None,
        parent: Trial | None = None,
        weights_of: Trial | None = None,
        seed: int | None = None,
        failure: Failure | None = None,
        **info: Json,
    ) -> Proposal:
        """Returns a proposal; shorthand for the record.

        Args:
            architecture: Architecture to evaluate.
            hyperparameters: Hyperparameters for the task's module.
            epochs: Budget of this trial, if not the default one.
            parent: Trial whose training this one continues.
            weights_of: Trial whose trained weights this one starts from.
            seed: Seed of the trial, to pair or repeat it; derived otherwise.
            failure: Reason why there is nothing to train; the trial is recorded as failed and never runs.
            **info: Provenance, JSON data.
        """
        inherits = None
        if parent is not None:
            inherits = Inherit(parent.number)
        elif weights_of is not None:
            inherits = Inherit(weights_of.number, "weights")
        budget = None if epochs is None else Budget(epochs)
        return Proposal(architecture, hyperparameters or {}, budget, inherits, info, failure, seed)

    def work(self, work: Work) -> Outcome | None:
        """Asks for something that must be trained before the next proposal.

        The first call asks for it and returns None: let `propose` return `[]` then. The executor does it, with a
        device and a time limit, while trials go on; `propose` is called again when it is done, before anything else
        is observed, so that the trials do not depend on how long it took. A resumed run finds what was done.

        Args:
            work: Work to do.

        Returns:
            Its outcome, which may be a failure; None while it is not done. Its files are in
            `study.work_folder(outcome.key)`.

        Raises:
            PluginError: The arguments are not JSON data, or fewer trials are finished than the work is to see.
        """
        return self._book.works.ask(work, self._book.trials)

    @property
    def working(self) -> Sequence[str]:
        """Keys of the work that was asked for and is not done, in the order in which it was asked for."""
        return list(self._book.works.requested)

    def nested(self, setting: Setting) -> Ledger:
        """Returns the ledger of a study inside this one, which shares its work.

        Args:
            setting: Subject of the inner study; without a folder, its files are those of this study.
        """
        from nasplug.ledger.ledger import Ledger

        if setting.folder is None:
            setting = replace(setting, folder=self.artifacts())
        return Ledger(setting, works=self._book.works)

    def work_folder(self, key: str) -> Path:
        """Returns the folder with the files that a piece of work left.

        Args:
            key: Key of its outcome.
        """
        return self.artifacts() / "jobs" / key

    def budget_of(self, trial: Trial) -> Budget:
        """Returns the trial's own budget, or the run's."""
        return trial.proposal.budget or self.budget

    def artifacts(self, trial: Trial | None = None) -> Path:
        """Returns the folder for files of the study, or of one trial; made on first use.

        Studies in memory keep theirs in a temporary folder that goes with the study.
        """
        folder = self._setting.folder
        if folder is None:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="nasplug-")
                weakref.finalize(self, self._temporary.cleanup)
            folder = Path(self._temporary.name)
        path = folder if trial is None else folder / folder_of(trial)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def __repr__(self) -> str:
        names = ", ".join(f"{objective.name} {objective.direction}" for objective in self.objectives)
        return f"{type(self).__name__}({plural(len(self.trials), 'trial')}, {len(self.pending)} pending; {names})"
