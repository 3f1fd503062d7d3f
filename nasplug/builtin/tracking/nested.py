"""What the trackers of experiment servers have in common: a parent run for the study, a nested one for each trial."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Generic, TypeVar

from nasplug.contract.errors import MissingExtraError, NasplugError, SpecError
from nasplug.contract.records import Measurement, Scalar, Trial
from nasplug.contract.tracker import Plan, Tracker
from nasplug.ledger.facts import part_of
from nasplug.ledger.view import StudyView

_log = logging.getLogger("nasplug")
Run = TypeVar("Run")


class NestedRuns(Tracker, ABC, Generic[Run]):
    """Keeps one run open for the study and one for each trial that runs.

    A server that goes away in the middle of a search ends its tracking, with a warning, and not the search.

    Args:
        study: Name of the parent run; None takes the name of the study file.
    """

    #: Package that must be installed.
    package = ""

    def __init__(self, study: str | None = None) -> None:
        self.name = study
        self._parent: Run | None = None
        self._runs: dict[int, Run] = {}
        self._trials: dict[int, Trial] = {}
        self._view: StudyView | None = None
        self._resumed, self._broken = 0, False

    @abstractmethod
    def open_parent(self, name: str, identifier: str, facts: Mapping[str, Scalar]) -> Run:
        """Returns the run of the study; of a resumed study, the run that it had."""

    @abstractmethod
    def open_child(self, parent: Run, name: str, facts: Mapping[str, Scalar]) -> Run:
        """Returns a run for a trial."""

    @abstractmethod
    def log(self, run: Run, values: Mapping[str, float], step: int) -> None:
        """Writes values of a run."""

    @abstractmethod
    def close(self, run: Run, state: str, reason: str) -> None:
        """Ends a run.

        Args:
            run: The run.
            state: State of the trial; `complete` for the study.
            reason: Reason why it was stopped or failed; else empty.
        """

    def started(self, study: StudyView, plan: Plan) -> None:
        """Opens the parent run.

        Raises:
            MissingExtraError: The package is not installed.
            SpecError: The server cannot be reached, or an argument is wrong.
        """
        self._view, self._resumed = study, plan.resumed
        spec = study.meta.get("spec", {})
        stored = part_of(spec, "run").get("storage")
        name = self.name or (PurePath(stored).stem if isinstance(stored, str) else "study")
        facts: dict[str, Scalar] = {
            "seed": study.seed,
            "epochs": study.budget.epochs,
            "objectives": ", ".join(f"{objective.name} {objective.direction}" for objective in study.objectives),
            "constraints": ", ".join(map(str, study.constraints)),
        }
        try:
            self._parent = self.open_parent(name, str(study.meta.get("id", name)), facts)
        except NasplugError:
            raise
        except ImportError as error:
            raise MissingExtraError(
                f"{self.package} is needed for this tracker, and cannot be imported",
                where=f"tracker {self.package}",
                why=str(error),
                fix=f"pip install {self.package}",
            ) from error
        except Exception as error:  # every server has errors of its own
            raise SpecError(
                f"cannot start tracking with {self.package}",
                where=f"tracker {self.package}",
                why=f"{type(error).__name__}: {error}",
                fix="check its arguments, and that its server can be reached",
            ) from error

    def submitted(self, trial: Trial) -> None:
        """Remembers the trial; its run opens with its first step."""
        self._trials[trial.number] = trial

    def measured(self, number: int, measurement: Measurement) -> None:
        """Writes a step of a running trial."""
        trial = self._trials.get(number)
        if trial is None:
            return
        prefix = f"{measurement.stage}/" if measurement.stage else ""
        values = {f"{prefix}{name}": value for name, value in measurement.metrics.items()}
        self._safely(lambda parent: self.log(self._run(parent, trial), values, measurement.step))

    def observed(self, trial: Trial) -> None:
        """Writes what became of a trial, ends its run, and shows the study how good it is."""
        self._trials.pop(trial.number, None)
        if trial.number < self._resumed:
            return
        self._safely(lambda parent: self._end(parent, trial))

    def ended(self) -> None:
        """Ends all runs."""
        for run in self._runs.values():
            self._safely(lambda parent, run=run: self.close(run, "interrupted", ""))  # type: ignore[misc]
        self._runs.clear()
        self._safely(lambda parent: self.close(parent, "complete", ""))
        self._parent = None

    def _run(self, parent: Run, trial: Trial) -> Run:
        if trial.number not in self._runs:
            facts: dict[str, Scalar] = {
                "trial": trial.number,
                "architecture": trial.label or trial.architecture.key,
                "seed": trial.seed,
                **trial.proposal.hyperparameters,
            }
            self._runs[trial.number] = self.open_child(parent, f"trial-{trial.number:05d}", facts)
        return self._runs[trial.number]

    def _end(self, parent: Run, trial: Trial) -> None:
        run = self._run(parent, trial)
        last = trial.measurements[-1].step if trial.measurements else 0
        self.log(run, {**{f"final/{name}": value for name, value in trial.values.items()}}, last)
        reason = trial.reason or (trial.failure.message if trial.failure is not None else "")
        self.close(self._runs.pop(trial.number), trial.state, reason)
        assert self._view is not None
        if trial.state == "complete":
            values = {item.name: trial.values[item.name] for item in self._view.objectives if item.name in trial.values}
            if len(self._view.objectives) == 1 and self._view.is_candidate(trial):
                best = self._view.best
                values |= {f"best/{name}": best.values[name] for name in values}
            self.log(parent, {name: value for name, value in values.items() if math.isfinite(value)}, trial.number)

    def _safely(self, action: Callable[[Run], None]) -> None:
        if self._parent is None or self._broken:
            return
        try:
            action(self._parent)
        except Exception as error:
            self._broken = True
            _log.warning(
                "tracking with %s ends here, and the search goes on: %s: %s", self.package, type(error).__name__, error
            )
