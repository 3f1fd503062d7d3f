"""Successive halving, synchronous and asynchronous, over any strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

from nasplug.builtin.random import RandomSearch
from nasplug.builtin.ranking import Spread, best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Strategy
from nasplug.contract.records import Budget, Inherit, Proposal, Trial
from nasplug.ledger.nested import InnerSearch
from nasplug.ledger.view import StudyView

#: Keys of `proposal.info`: the rung, of which 0 is the lowest, and the bracket of the synchronous mode.
RUNG, BRACKET = "rung", "bracket"


class SuccessiveHalving:
    """Trains many architectures shortly, and promotes the best of every rung to `eta` times the epochs.

    Sources: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
    AISTATS 2016 (`mode="sync"`); Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
    algorithm 2 (`mode="async"`, known as ASHA).

    Rung k trains to `min_epochs * eta**k` epochs, the last one to `max_epochs`. A promotion is a new trial that
    names the trial below as its parent and continues its training. Schedules of the learning rate are made for
    `max_epochs` in every rung, so that a promoted training is the one that was never interrupted.

    * `async`: whenever a proposal is wanted, the best trial that is in the top 1/eta of its rung and not yet promoted
      is promoted, from the highest rung downwards; if there is none, the inner strategy gives a new architecture.
    * `sync`: brackets of `size` architectures; a rung is finished before its top 1/eta are promoted, and a bracket
      before the next one starts.

    The inner strategy sees every architecture once, with the result of the lowest rung: results of different rungs
    are not comparable, and a strategy that works in generations gets one answer to every question. Trials that were
    enqueued are shown to it as they are, and take no part in the rungs.

    Feasible trials are promoted before infeasible ones; with several objectives the order is that of non-dominated
    fronts, and inside of one by `spread`, as in Schmucker et al., "Multi-objective Asynchronous Successive Halving",
    arXiv 2106.12639: the whole vector of objectives decides on every rung, and nothing is weighted. Failed, stopped
    and copied trials count as members of their rung and are never promoted.

    Args:
        inner: Gives the architectures; default: `random`.
        eta: One of `eta` is promoted.
        min_epochs: Epochs of the lowest rung.
        max_epochs: Epochs of the highest rung; default: the epochs of the run.
        mode: `async` or `sync`.
        size: Architectures per bracket of `sync`; default: as many as leave one in the highest rung.
        spread: Order inside a front of several objectives: `crowding`, or `epsilon_net`, in which each is the farthest
            from those before it.

    Raises:
        SpecError: Numbers that make no two rungs, or an inner strategy that continues trainings itself.
    """

    keeps_checkpoints = True

    def __init__(
        self,
        inner: Strategy | None = None,
        eta: int = 3,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        mode: Literal["async", "sync"] = "sync",
        size: int | None = None,
        spread: Spread = "crowding",
    ) -> None:
        strategy: Strategy = RandomSearch() if inner is None else inner
        if eta < 2 or min_epochs < 1:
            raise SpecError(f"eta must be >= 2 and min_epochs >= 1, got {eta} and {min_epochs}", where="halving")
        if mode not in ("async", "sync"):
            raise SpecError(f"there is no mode {mode!r}", where="halving", fix="write 'async' or 'sync'")
        if spread not in get_args(Spread):
            raise SpecError(f"unknown spread {spread!r}", where="halving", fix="write 'crowding' or 'epsilon_net'")
        if size is not None and size < eta:
            raise SpecError(f"a bracket of {size} is too small to promote one of {eta}", where="halving")
        if getattr(strategy, "keeps_checkpoints", False):
            raise SpecError(
                f"the inner strategy {type(strategy).__name__} continues trainings itself",
                where="halving",
                fix="take an inner strategy that proposes architectures only",
            )
        self.inner: Any = strategy
        self.spread: Spread = spread
        self.eta, self.min_epochs, self.max_epochs, self.mode, self.size = eta, min_epochs, max_epochs, mode, size
        if max_epochs is not None:
            rung_epochs(eta, min_epochs, max_epochs)  # refuses nonsense now
        self.requires: tuple[type, ...] = tuple(getattr(strategy, "requires", ()))
        self.hyperparameters: tuple[str, ...] = tuple(getattr(strategy, "hyperparameters", ()))
        self._inner = self._search_of(strategy)
        if self._inner.saves:
            # Only then: a strategy without these two methods is replayed on resume, which is just as exact.
            self.state_dict: Callable[[], dict[str, Json]] = self._state_dict
            self.load_state_dict: Callable[[dict[str, Any]], None] = self._load_state_dict
        self._forget()

    def _search_of(self, strategy: Strategy) -> InnerSearch:
        """The inner search, whose trials are those of the lowest rung."""
        return InnerSearch(strategy, label=RUNG, hidden=(BRACKET,))

    def _lowest(self, bracket: int) -> int:
        """Rung on which a bracket starts."""
        return 0

    def _size_of(self, bracket: int) -> int:
        """Number of architectures that a bracket starts with."""
        return self.size or self.eta ** (len(self._epochs) - 1)

    def _forget(self) -> None:
        self._read = 0
        self._epochs: list[int] = []
        #: Finished trials by bracket and rung; `async` has one bracket.
        self._brackets: list[list[list[Trial]]] = []
        self._promoted: set[int] = set()
        self._inner.forget()

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Promotions where they are due, new architectures otherwise."""
        self._catch_up(study)
        return self._asynchronous(study, count) if self.mode == "async" else self._synchronous(study, count)

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Passes results of the lowest rung on to the inner strategy."""
        self._catch_up(study)
        self._inner.observe(study, trial, Budget(self._epochs[0], self._epochs[-1]))

    # -- the two schedules ---------------------------------------------------------------------------------------

    def _asynchronous(self, study: StudyView, count: int) -> list[Proposal]:
        promoted = self._promoted | self._in_flight(study)
        due = [
            (trial, rung)
            for rung in range(len(self._epochs) - 2, -1, -1)
            for trial in self._top(study, self._rungs(0)[rung])
            if trial.number not in promoted
        ]
        proposals = [self._promotion(trial, rung + 1, 0) for trial, rung in due[:count]]
        if len(proposals) < count:
            proposals += self._fresh(study, count - len(proposals), 0)
        return proposals

    def _synchronous(self, study: StudyView, count: int) -> list[Proposal]:
        waiting = [(_position(trial), trial) for trial in study.pending if _position(trial) is not None]
        bracket = max([len(self._brackets) - 1, 0, *(position[0] for position, _ in waiting if position)])
        rungs = self._rungs(bracket)
        low, size = self._lowest(bracket), self._size_of(bracket)
        level = max([low, *(k for k, members in enumerate(rungs) if members), *(p[1] for p, _ in waiting if p)])
        if level == low:
            started = len(rungs[low]) + len(waiting)
            if started < size:
                proposals = self._fresh(study, min(count, size - started), bracket)
                if proposals or self._inner.waiting(study):
                    return proposals
                # The inner strategy has nothing more: the bracket goes on with what there is.
        else:
            promoted = self._promoted | self._in_flight(study)
            left = [trial for trial in self._top(study, rungs[level - 1], 1) if trial.number not in promoted]
            if left:
                return [self._promotion(trial, level, bracket) for trial in left[:count]]
        if waiting:
            return []
        top = self._top(study, rungs[level], 1) if level + 1 < len(self._epochs) else []
        if top:
            return [self._promotion(trial, level + 1, bracket) for trial in top[:count]]
        return self._fresh(study, min(count, self._size_of(bracket + 1)), bracket + 1) if rungs[low] else []

    # -- what both need ------------------------------------------------------------------------------------------

    def _catch_up(self, study: StudyView) -> None:
        """Reads the trials that were finished since the last call; all of them after a resume."""
        if not self._epochs:
            self._epochs = rung_epochs(self.eta, self.min_epochs, self.max_epochs or study.budget.epochs)
        for trial in study.trials[self._read :]:
            position = _position(trial)
            if position is None:
                continue
            self._rungs(position[0])[position[1]].append(trial)
            if trial.proposal.parent is not None:
                self._promoted.add(trial.proposal.parent)
        self._read = len(study.trials)

    def _rungs(self, bracket: int) -> list[list[Trial]]:
        while len(self._brackets) <= bracket:
            self._brackets.append([[] for _ in self._epochs])
        return self._brackets[bracket]

    def _in_flight(self, study: StudyView) -> set[int]:
        return {trial.proposal.parent for trial in study.pending if trial.proposal.parent is not None}

    def _top(self, study: StudyView, members: list[Trial], least: int = 0) -> list[Trial]:
        """The best 1/eta of a rung, `least` ones at least if so many can be promoted."""
        able = [trial for trial in members if _is_able(study, trial)]
        return best_first(study, able, self.spread)[: max(least, len(members) // self.eta)]

    def _fresh(self, study: StudyView, count: int, bracket: int) -> list[Proposal]:
        low = self._lowest(bracket)
        budget = Budget(self._epochs[low], self._epochs[-1])
        return [
            msgspec.structs.replace(item, budget=budget, info={**item.info, **self._label(low, bracket)})
            for item in self._inner.propose(study, count, budget)
        ]

    def _promotion(self, trial: Trial, rung: int, bracket: int) -> Proposal:
        budget = Budget(self._epochs[rung], self._epochs[-1])
        return Proposal(
            trial.architecture,
            trial.hyperparameters,
            budget,
            Inherit(trial.number),
            self._label(rung, bracket),
            seed=trial.proposal.seed,
        )

    def _label(self, rung: int, bracket: int) -> dict[str, int]:
        return {RUNG: rung} if self.mode == "async" else {RUNG: rung, BRACKET: bracket}

    def _state_dict(self) -> dict[str, Json]:
        """The state of the inner strategy; everything else is in the trials of the study."""
        return {"inner": self.inner.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self._forget()
        self.inner.load_state_dict(state["inner"])


class Asha(SuccessiveHalving):
    """Asynchronous successive halving: `SuccessiveHalving` with `mode="async"`, under its usual name.

    Args:
        inner: Gives the architectures; default: `random`.
        eta: One of `eta` is promoted.
        min_epochs: Epochs of the lowest rung.
        max_epochs: Epochs of the highest rung; default: the epochs of the run.
        spread: Order inside a front of several objectives: `crowding` or `epsilon_net`.
    """

    def __init__(
        self,
        inner: Strategy | None = None,
        eta: int = 3,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        spread: Spread = "crowding",
    ) -> None:
        super().__init__(inner, eta, min_epochs, max_epochs, mode="async", spread=spread)


def rung_epochs(eta: int, min_epochs: int, max_epochs: int) -> list[int]:
    """Epochs of every rung: `min_epochs * eta**k`, and `max_epochs` at the top.

    A rung closer to the top than a factor of sqrt(eta) is left out, as it would cost a training to save little.

    Raises:
        SpecError: There is no room for two rungs.
    """
    if max_epochs <= min_epochs:
        raise SpecError(
            f"no rungs fit between min_epochs={min_epochs} and max_epochs={max_epochs}",
            where="halving",
            fix="give the run more epochs (budget.epochs), or set max_epochs",
        )
    epochs = [min_epochs]
    while epochs[-1] * eta < max_epochs:
        epochs.append(epochs[-1] * eta)
    if len(epochs) > 1 and max_epochs**2 < epochs[-1] ** 2 * eta:
        epochs.pop()
    return [*epochs, max_epochs]


def _position(trial: Trial) -> tuple[int, int] | None:
    """(bracket, rung) of a trial that was proposed here, None for trials of others."""
    info = trial.proposal.info
    bracket, rung = info.get(BRACKET, 0), info.get(RUNG)
    return (bracket, rung) if isinstance(bracket, int) and isinstance(rung, int) else None


def _is_able(study: StudyView, trial: Trial) -> bool:
    # A copy continues the same training as its source, which is a member itself.
    return trial.state == "complete" and trial.copied_from is None and comparable(study, trial)
