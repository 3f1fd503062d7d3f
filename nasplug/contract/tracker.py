"""Whoever follows a run: progress displays, logs, experiment trackers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.kinds import component_type
from nasplug.contract.records import Measurement, Trial

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run may go on.

    Attributes:
        trials: Number of trials; None if only time ends the run.
        seconds: Wall time after which nothing new is proposed; None if only the number of trials ends it.
        resumed: Number of finished trials that an earlier run left.
        workers: Number of trials at the same time.
    """

    trials: int | None = None
    seconds: float | None = None
    resumed: int = 0
    workers: int = 1


@component_type("tracker")
class Tracker:
    """Follows a run in the driver. Every method may be called often and must be quick; override what you need.

    The order of calls: `started`, then for each trial `submitted`, `measured` for its steps, and `observed`; `worked`
    while a strategy's own work runs; `noted` for a hint; `ended` once, also after an error.
    """

    def started(self, study: StudyView, plan: Plan) -> None:
        """Is called before the first proposal.

        Args:
            study: The study; follow it through the calls below.
            plan: Limits of the run.
        """

    def submitted(self, trial: Trial) -> None:
        """Is called when a trial was handed to the executor."""

    def measured(self, number: int, measurement: Measurement) -> None:
        """Is called when a running trial reported a step."""

    def worked(self, key: str, share: float, metrics: Mapping[str, float]) -> None:
        """Is called when a strategy's work said how far it is; `share` lies between 0 and 1."""

    def observed(self, trial: Trial) -> None:
        """Is called when a trial is finished and known to the strategy."""

    def noted(self, hint: str) -> None:
        """Is called when the run has something to say, such as that no trial satisfies a constraint.

        Args:
            hint: One or two sentences for the person.
        """

    def ended(self) -> None:
        """Is called when nothing more will come."""
