"""What every tracker must keep to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nasplug.contract.errors import NasplugError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Measurement, Proposal, Trial
from nasplug.contract.tracker import Plan, Tracker
from nasplug.ledger.study import Study
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Work
from nasplug.testing.randomness import untouched_random_state
from nasplug.testing.search import outcome, run_search
from nasplug.testing.synthetic import SyntheticCost, SyntheticEvaluator
from nasplug.testing.troubles import example_work


class TrackerConformance:
    """Subclass it and give `make_tracker`.

    Attributes:
        trials: Length of the searches that it follows.
    """

    trials: ClassVar[int] = 20

    def make_tracker(self) -> Tracker:
        """Returns a fresh tracker, configured the same way every time."""
        raise NotImplementedError("give make_tracker()")

    def follow(self, *more: Tracker, strategy: Any = None, **options: Any) -> Study:
        """Runs a search with failed, stopped, infeasible and repeated trials, and with work."""
        defaults: dict[str, Any] = {
            "evaluator": SyntheticEvaluator(noise=0.02, failing=0.2, halting=0.2),
            "constraints": ["units <= 12"],
            "costs": {"units": SyntheticCost()},
            "trials": self.trials,
            "epochs": 3,
        }
        return run_search(strategy or _Varied(), trackers=list(more), **{**defaults, **options})

    def test_it_follows_whatever_happens(self) -> None:
        """Trials of every state, copies, steps and work; none of them makes it raise or draw random numbers."""
        watched = _Watched(self.make_tracker())
        study = self.follow(watched)
        assert {trial.state for trial in study.trials} == {"complete", "pruned", "failed"}
        assert any(trial.copied_from is not None for trial in study.trials)
        assert watched.names >= {"started", "submitted", "measured", "worked", "observed", "ended"}

    def test_it_changes_nothing(self) -> None:
        """The trials of a run do not depend on who follows it."""
        assert outcome(self.follow(_Watched(self.make_tracker()))) == outcome(self.follow())

    def test_it_takes_up_a_resumed_run(self, tmp_path: Path) -> None:
        """A tracker of a later run is told of the trials that there are, and of those that follow."""
        path = tmp_path / "study.sqlite"
        self.follow(_Watched(self.make_tracker()), storage=path, trials=self.trials // 2)
        study = self.follow(_Watched(self.make_tracker()), storage=path)
        assert outcome(study) == outcome(self.follow())

    def test_it_ends_with_a_run_that_fails(self) -> None:
        """`ended` is its last call, also after an error, of which it must not make another one."""
        with pytest.raises(NasplugError, match="breaks by request"):
            self.follow(_Watched(self.make_tracker()), strategy=_Varied(breaks_at=self.trials // 2))

    def test_a_run_without_any_trial(self) -> None:
        """A strategy may end before its first proposal."""
        assert not self.follow(_Watched(self.make_tracker()), strategy=_Varied(ends_at=0)).trials


class _Varied:
    """Random architectures, every fifth one a repetition, after some work."""

    def __init__(self, breaks_at: int | None = None, ends_at: int | None = None) -> None:
        self.breaks_at, self.ends_at = breaks_at, ends_at

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Proposes one trial."""
        number = study.proposed
        if number == self.breaks_at:
            raise RuntimeError("breaks by request")
        if number == self.ends_at:
            return []
        work = Work(f"{example_work.__module__}:{example_work.__name__}", {"value": number // 10})
        if study.work(work) is None:
            return []
        draw = number - 1 if number % 5 == 4 else number
        return [study.proposal(study.space.sample(study.rng("suite", draw)))]


class _Watched(Tracker):
    """Stands in for a tracker, and checks every call."""

    def __init__(self, tracker: Any) -> None:
        self._tracker, self.names = tracker, set[str]()

    def started(self, study: StudyView, plan: Plan) -> None:
        """Passes the call on."""
        self._call("started", study, plan)

    def submitted(self, trial: Trial) -> None:
        """Passes the call on."""
        self._call("submitted", trial)

    def measured(self, number: int, measurement: Measurement) -> None:
        """Passes the call on."""
        self._call("measured", number, measurement)

    def worked(self, key: str, share: float, metrics: Mapping[str, float]) -> None:
        """Passes the call on."""
        self._call("worked", key, share, metrics)

    def observed(self, trial: Trial) -> None:
        """Passes the call on."""
        before = trial.encode()
        self._call("observed", trial)
        assert trial.encode() == before, "observed() changes the trial"

    def ended(self) -> None:
        """Passes the call on."""
        self._call("ended")

    def _call(self, name: str, *arguments: object) -> None:
        self.names.add(name)
        function = getattr(self._tracker, name, None)
        assert function is not None, f"a tracker has `{name}`; derive from nasplug.Tracker, which does nothing"
        with untouched_random_state(f"{name}()"):
            function(*arguments)
