"""Freeze-thaw search: every step of training goes to the curve that promises most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasplug.builtin.curves import Curves, Setting
from nasplug.builtin.features import Table, traits
from nasplug.builtin.ranking import comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Mutates
from nasplug.contract.records import Architecture, Budget, Inherit, Proposal, Trial
from nasplug.ledger.view import StudyView

#: Bounds of the logarithm to base 10 of the improvement that is aimed at, relative to the spread of the results.
_AIMS = (-3.0, 0.0)
#: The process is fitted anew when the results have grown by this factor, and to so many of them at most.
_REFIT, _MOST = 1.2, 300


@dataclass
class _Curve:
    """One network and what is known of its training.

    Attributes:
        last: Trial of the longest training so far.
        points: Epochs and values of all its trainings.
        number: Number of the network among those of the study.
    """

    last: Trial
    points: list[tuple[int, float]]
    number: int


class FreezeThaw:
    """Trains step by step, and after every step decides anew whose training goes on, or which network begins.

    A Gaussian process over networks and epochs (`nasplug.builtin.curves`) predicts where curves go. For each proposal
    a number of epochs to look ahead and an improvement to aim at are drawn, and the network most likely to reach it is
    trained for `step` more epochs: one that began earlier, a mutant of the best, or a random one.

    Source: Rakotoarison et al., "In-Context Freeze-Thaw Bayesian Optimization for Hyperparameter Optimization", ICML
    2024 (ifBO), whose acquisition this is (equation 6: the probability of an improvement, with horizon and threshold at
    random); the surrogate there is a trained transformer, here a process with the kernel of Swersky, Snoek and Adams,
    "Freeze-Thaw Bayesian Optimization", 2014. The threshold is relative to the spread of the results here, since the
    best possible value is not known.

    Every step is a trial of its own, so that `budget.trials` counts steps. Constraints and failures end a curve. It
    takes one objective. Everything is derived from the trials of the study; nothing else is kept.

    Args:
        step: Epochs of one step.
        max_epochs: Epochs of a whole training; default: the epochs of the run.
        initial: Number of random networks at the start.
        candidates: Number of new networks that compete with those that began.

    Raises:
        SpecError: A number below 1; in `propose`, also several objectives.
    """

    keeps_checkpoints = True

    def __init__(self, step: int = 1, max_epochs: int | None = None, initial: int = 8, candidates: int = 50) -> None:
        for name, value in (("step", step), ("max_epochs", max_epochs), ("initial", initial)):
            if value is not None and value < 1:
                raise SpecError(f"{name} is {value}", where="freeze_thaw", fix="give 1 or more")
        if candidates < 1:
            raise SpecError(f"candidates is {candidates}", where="freeze_thaw", fix="give 1 or more")
        self.step, self.max_epochs, self.initial, self.candidates = step, max_epochs, initial, candidates
        self._forget()

    def _forget(self) -> None:
        self._traits: dict[str, dict[str, float]] = {}
        self._fitted: tuple[int, Setting] | None = None

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next steps.

        Raises:
            SpecError: There are several objectives.
        """
        if len(study.objectives) != 1:
            raise SpecError(
                f"it takes one objective, and there are {len(study.objectives)}",
                where="freeze_thaw",
                fix="take asha with spread='epsilon_net' for several",
            )
        whole = self.max_epochs or study.budget.epochs
        curves = self._curves(study)
        busy = {trial.architecture.key for trial in study.pending}
        begun = len(curves) + len(busy - set(curves))
        proposals: list[Proposal] = []
        for offset in range(count):
            rng = study.rng("freeze_thaw.propose", study.proposed + offset)
            taken = busy | set(curves)
            if begun < self.initial or not any(curve.points for curve in curves.values()):
                fresh = self._fresh(study, taken, [], 1, rng)
                chosen: Architecture | _Curve | None = fresh[0] if fresh else None
            else:
                chosen = self._chosen(study, curves, busy, taken, whole, rng)
            if chosen is None:
                break
            proposal = self._step(chosen, whole)
            begun += not isinstance(chosen, _Curve)
            busy.add(proposal.architecture.key)
            proposals.append(proposal)
        return proposals

    def _curves(self, study: StudyView) -> dict[str, _Curve]:
        """What is known of every network, by its key. A curve without points has ended without a result."""
        found: dict[str, _Curve] = {}
        for trial in study.trials:
            curve = found.setdefault(trial.architecture.key, _Curve(trial, [], len(found)))
            curve.last = trial
            if _counts(study, trial):
                curve.points.append((study.budget_of(trial).epochs, study.score(trial)))
        return found

    def _chosen(
        self,
        study: StudyView,
        curves: dict[str, _Curve],
        busy: set[str],
        taken: set[str],
        whole: int,
        rng: np.random.Generator,
    ) -> Architecture | _Curve | None:
        """The network most likely to be better than all after some more epochs; None where nothing can be trained."""
        trials = [trial for trial in study.trials if _counts(study, trial)]
        table = Table(self._of(study, trial.architecture) for trial in trials)
        process = Curves(
            *self._observed(study, curves, trials, table, whole), self._setting(study, curves, trials, whole)
        )
        values = np.array([study.score(trial) for trial in trials])
        open_ = [curve for key, curve in curves.items() if key not in busy and _can_go_on(study, curve, whole)]
        good = sorted((c for c in curves.values() if c.points), key=lambda c: (-max(v for _, v in c.points), c.number))
        fresh = self._fresh(study, taken, [curve.last.architecture for curve in good[:5]], self.candidates, rng)
        if not open_ and not fresh:
            return None
        horizon = int(rng.integers(1, whole + 1))
        aim = float(values.max()) + 10.0 ** float(rng.uniform(*_AIMS)) * float(values.std())
        architectures = [curve.last.architecture for curve in open_] + fresh
        numbers = [curve.number for curve in open_] + list(range(len(curves), len(curves) + len(fresh)))
        done = [study.budget_of(curve.last).epochs for curve in open_] + [0] * len(fresh)
        mean, deviation = process.predict(
            table.rows([self._of(study, architecture) for architecture in architectures]),
            np.array(numbers),
            np.array([min(epochs + max(horizon, self.step), whole) / whole for epochs in done]),
        )
        best = int(np.argmax((mean - aim) / deviation))  # the probability grows with this
        return open_[best] if best < len(open_) else fresh[best - len(open_)]

    def _observed(
        self, study: StudyView, curves: dict[str, _Curve], trials: Sequence[Trial], table: Table, whole: int
    ) -> tuple[Any, Any, Any, Any]:
        """Features, numbers of networks, times and values of trainings, as a process takes them."""
        return (
            table.rows([self._of(study, trial.architecture) for trial in trials]),
            np.array([curves[trial.architecture.key].number for trial in trials]),
            np.array([study.budget_of(trial).epochs / whole for trial in trials]),
            np.array([study.score(trial) for trial in trials]),
        )

    def _setting(self, study: StudyView, curves: dict[str, _Curve], trials: Sequence[Trial], whole: int) -> Setting:
        """The setting fitted to the first results, as many as a schedule says: a resumed search fits the very same."""
        count = step = min(2, len(trials))
        while step <= min(len(trials), _MOST):
            count, step = step, max(step + 1, math.ceil(step * _REFIT))
        if self._fitted is None or self._fitted[0] != count:
            some = trials[:count]
            table = Table(self._of(study, trial.architecture) for trial in some)
            observed = self._observed(study, curves, some, table, whole)
            self._fitted = count, Curves.fitted(*observed, study.rng("freeze_thaw.fit", count)).setting
        return self._fitted[1]

    def _fresh(
        self, study: StudyView, taken: set[str], parents: Sequence[Architecture], count: int, rng: np.random.Generator
    ) -> list[Architecture]:
        """Networks that were not proposed: half of them mutants where the space mutates; fewer in a small space."""
        found: dict[str, Architecture] = {}
        space: Any = study.space
        able = isinstance(space, Mutates) and bool(parents)
        for attempt in range(20 + 3 * count):
            mutant = able and attempt % 2
            drawn = space.mutate(parents[attempt // 2 % len(parents)], rng) if mutant else space.sample(rng)
            if drawn.key not in taken:
                found.setdefault(drawn.key, drawn)
            if len(found) == count:
                break
        return list(found.values())

    def _step(self, chosen: Architecture | _Curve, whole: int) -> Proposal:
        if isinstance(chosen, _Curve):
            last = chosen.last
            begun = 0 if last.proposal.budget is None else last.proposal.budget.epochs
            budget = Budget(min(begun + self.step, whole), whole)
            return Proposal(
                last.architecture,
                last.hyperparameters,
                budget,
                Inherit(last.number),
                {"origin": "thawed"},
                seed=last.proposal.seed,
            )
        return Proposal(chosen, {}, Budget(min(self.step, whole), whole), info={"origin": "new"})

    def _of(self, study: StudyView, architecture: Architecture) -> dict[str, float]:
        found = self._traits.get(architecture.key)
        if found is None:
            found = self._traits[architecture.key] = traits(study.space, architecture)
        return found

    def needs_weights(self, study: StudyView) -> list[int]:
        """Numbers of the trainings that may go on."""
        whole = self.max_epochs or study.budget.epochs
        return [curve.last.number for curve in self._curves(study).values() if _can_go_on(study, curve, whole)]

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()


def _counts(study: StudyView, trial: Trial) -> bool:
    return comparable(study, trial) and study.is_candidate(trial)


def _can_go_on(study: StudyView, curve: _Curve, whole: int) -> bool:
    """Whether a training is not finished, and ended neither in failure nor outside of the constraints."""
    last = curve.last
    # Whoever was enqueued trained for the budget of the run.
    return study.budget_of(last).epochs < whole and study.is_candidate(last) and math.isfinite(study.score(last))
