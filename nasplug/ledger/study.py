"""The study: what strategies, evaluators and users see of a search."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Architecture, Budget, Constraint, Failure, Objective, Proposal, Scalar, Trial
from nasplug.ledger import pareto
from nasplug.ledger.rng import stream

if TYPE_CHECKING:
    import tempfile

    import numpy as np

    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task
    from nasplug.run.worker import TrialContext


class Study:
    """The ordered ledger of trials with its objectives, constraints and random streams.

    In a hook, `trials` holds exactly the finished trials that the hook may know, in order of their numbers, whatever
    the number of workers; trials that were proposed and not yet observed are in `pending`.

    Attributes:
        space: The search space.
        objectives: What to optimise; the first one is the main one.
        constraints: Hard bounds.
        seed: Seed of every random stream.
        budget: Default budget of a trial.
        target: The hardware target, if any.
        folder: Where artifacts are, or None until :meth:`artifacts` makes a temporary one.
        meta: Facts about the run: specification, versions. JSON data.
        context: Inside a worker, live reporting and run options for evaluators; None elsewhere.
    """

    def __init__(
        self,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        budget: Budget | None = None,
        target: HardwareTarget | None = None,
        folder: Path | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._space, self._task, self.target = space, task, target
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self.seed = seed
        self.budget = budget or Budget()
        self.folder = folder
        self.meta: Mapping[str, Any] = meta or {}
        self.context: TrialContext | None = None
        self._trials: list[Trial] = []
        self._by_number: dict[int, Trial] = {}
        self._pending: dict[int, Trial] = {}
        self._ends: dict[int, float] = {}
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._builder: Callable[[Study, Trial], Any] | None = None
        # Of a study opened from a file: makes a composed study when its task or a network is first asked for.
        self._open: Callable[[], Study] | None = None

    # -- what happened -------------------------------------------------------------------------------------------

    @property
    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            StudyError: The study was opened without one, e.g. from a file whose space is not installed.
        """
        if self._space is None:
            raise StudyError("this study was opened without its search space")
        return self._space

    @property
    def task(self) -> Task | None:
        """The task, or None for a search on a table."""
        self._opened()
        return self._task

    def _opened(self) -> None:
        if self._open is not None:
            composed, self._open = self._open(), None
            self._task, self.target, self._builder = composed._task, composed.target, composed._builder

    @property
    def trials(self) -> Sequence[Trial]:
        """Finished trials that may be known now, as they were observed. Do not change the sequence.

        That is ascending by number, unless the run has a simulated clock.
        """
        return self._trials

    @property
    def pending(self) -> Sequence[Trial]:
        """Trials proposed and not yet observed, ascending by number."""
        return list(self._pending.values())

    @property
    def proposed(self) -> int:
        """How many trials were proposed so far: the number of the next trial."""
        return len(self._trials) + len(self._pending)

    def finished_at(self, trial: Trial) -> float:
        """Seconds on the simulated clock at which a trial ended.

        Raises:
            StudyError: The run has no simulated clock.
        """
        if trial.number not in self._ends:
            raise StudyError("this study was not run on a simulated clock", fix="set run.clock to a metric")
        return self._ends[trial.number]

    def trial(self, number: int) -> Trial:
        """The trial of that number, finished or pending.

        Raises:
            StudyError: There is none.
        """
        found = self._by_number.get(number) or self._pending.get(number)
        if found is None:
            raise StudyError(f"there is no trial {number}", fix="`nasplug trials FILE` lists them")
        return found

    # -- which is best -------------------------------------------------------------------------------------------

    def violation(self, trial: Trial) -> float:
        """Sum of relative constraint violations; 0.0 when all hold."""
        return pareto.violation(trial, self.constraints)

    def is_candidate(self, trial: Trial) -> bool:
        """Whether the trial is complete, finite in all objectives and keeps all constraints."""
        return pareto.is_candidate(trial, self.objectives, self.constraints)

    def candidates(self) -> list[Trial]:
        """All trials that may be called best."""
        return [trial for trial in self._trials if self.is_candidate(trial)]

    def score(self, trial: Trial) -> float:
        """The main objective, signed so that larger is better; minus infinity for trials that are no candidates."""
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
                f"none of {len(self._trials)} finished trials is complete and feasible, so there is no best one",
                fix="look at the reasons with `nasplug trials FILE`",
            )
        return max(candidates, key=lambda trial: pareto.best_key(trial, self.objectives))

    def pareto(self) -> list[Trial]:
        """The non-dominated trials, best first by the first objective."""
        return pareto.pareto_front(self.candidates(), self.objectives)

    def hypervolume(self, reference: Mapping[str, float] | None = None) -> float:
        """Dominated volume of the objective space; see :func:`nasplug.ledger.pareto.hypervolume`."""
        return pareto.hypervolume(self.candidates(), self.objectives, reference)

    # -- for strategies ------------------------------------------------------------------------------------------

    def rng(self, role: str, index: int = 0) -> np.random.Generator:
        """A random stream keyed by (seed, role, index).

        Args:
            role: What the numbers are for; start it with the name of your plugin.
            index: Which of many, e.g. a generation or `study.proposed`.
        """
        return stream(self.seed, role, index)

    def proposal(
        self,
        architecture: Architecture,
        hyperparameters: Mapping[str, Scalar] | None = None,
        *,
        epochs: int | None = None,
        parent: Trial | None = None,
        failure: Failure | None = None,
        **info: Any,
    ) -> Proposal:
        """A proposal; shorthand for the record.

        Args:
            architecture: What to evaluate.
            hyperparameters: For the task's module.
            epochs: Budget of this trial, if not the default one.
            parent: Trial whose training this one continues.
            failure: Why there is nothing to train; the trial is recorded as failed and never runs.
            **info: Provenance, JSON data.
        """
        budget = None if epochs is None else Budget(epochs)
        number = None if parent is None else parent.number
        return Proposal(architecture, hyperparameters or {}, budget, number, info, failure)

    def budget_of(self, trial: Trial) -> Budget:
        """The trial's own budget, or the run's."""
        return trial.proposal.budget or self.budget

    # -- for evaluators ------------------------------------------------------------------------------------------

    def build(self, trial: Trial) -> Any:
        """The trial's network, through the space and all configured wrappers.

        Raises:
            StudyError: The study was opened for reading only.
        """
        self._opened()
        if self._builder is not None:
            return self._builder(self, trial)
        if self.task is None:
            raise StudyError("there is no task to build a network for")
        return self.space.build(trial.architecture, self.task)

    def artifacts(self, trial: Trial | None = None) -> Path:
        """The folder for files of the study, or of one trial; made on first use.

        Studies in memory keep theirs in a temporary folder that goes with the study.
        """
        if self.folder is None:
            import tempfile

            self._temporary = tempfile.TemporaryDirectory(prefix="nasplug-")
            weakref.finalize(self, self._temporary.cleanup)
            self.folder = Path(self._temporary.name)
        path = self.folder if trial is None else self.folder / f"trial-{trial.number:05d}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def network(self, trial: Trial) -> Any:
        """The trial's network with its trained weights.

        Raises:
            StudyError: No weights were kept.
        """
        from nasplug.evaluate.weights import load_weights

        number = trial.number if trial.copied_from is None else trial.copied_from
        source = self.trial(number)
        return load_weights(self, source, self.build(source))

    def report(self, path: str | Path) -> Path:
        """Writes the report: one self-contained HTML page. Needs the extra `report`."""
        from nasplug.report.page import write_report

        return write_report(self, Path(path))

    # -- for the driver ------------------------------------------------------------------------------------------

    def _propose(self, trial: Trial) -> None:
        self._pending[trial.number] = trial

    def _observe(self, trial: Trial) -> None:
        self._pending.pop(trial.number, None)
        self._trials.append(trial)
        self._by_number[trial.number] = trial

    def __repr__(self) -> str:
        names = ", ".join(f"{objective.name} {objective.direction}" for objective in self.objectives)
        return f"Study({len(self._trials)} trials, {len(self._pending)} pending; {names})"
