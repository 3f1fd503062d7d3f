"""The strategy `cgap.grow`: every stage of growth and pruning is a trial, and the best networks go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nasplug.builtin.random import RandomSearch
from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Strategy
from nasplug.contract.records import Budget, Inherit, Proposal, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.nested import InnerSearch
from nasplug.ledger.view import StudyView
from nasplug_cgap.growth.orders import ORDER, Order

#: Keys of `proposal.info`: stage of the network, 0 for the seed; number of the round.
STAGE, ROUND = "stage", "round"


class Grow:
    """Continuous growth and pruning as a search: a beam of networks that grow, compared after every stage.

    Another strategy proposes architectures, whose seeds are trained for a stage. The `keep` best ones go on, each in
    `branches` ways that grow by different rates; the best `keep` of those go on, and so forth. Then the survivors lose
    weights and channels in `pruning` steps, and train to the end. A stage is a trial that continues the training of an
    earlier one, with its changes of structure, its optimizer and its schedule. With one candidate and one branch this
    is the method of the publication, cut into trials. The callback `cgap` makes the changes in the worker and has all
    other settings; a run with this strategy names it under `callbacks`.

    Every stage but the last takes as many whole epochs as fit equally often into `budget.epochs`; the last one has the
    rest. If the budget has more trials than a round, the next round begins, with new architectures of the same search.

    Source: Du, Li, Cao, "CGaP: Continuous Growth and Pruning for Efficient Deep Learning", arXiv 1905.11533. The beam
    is ours; networks that grow under selection are those of Elsken, Metzen, Hutter, "Simple and Efficient Architecture
    Search for Convolutional Neural Networks", arXiv 1711.04528.

    Args:
        inner: Strategy that proposes architectures; None means random search.
        candidates: Number of seeds of a round.
        keep: Number of networks that go on after every stage.
        branches: Number of ways in which a survivor grows: by the rate of the callback, and by rates around it.
        growth: Number of stages that begin with a step of growth.
        pruning: Number of stages that begin with a step of pruning.
        spread: Largest factor between the rate of a branch and that of the callback, either way.

    Raises:
        SpecError: A value is out of range.
    """

    keeps_checkpoints = True

    def __init__(
        self,
        inner: Strategy | None = None,
        candidates: int = 2,
        keep: int = 1,
        branches: int = 2,
        growth: int = 3,
        pruning: int = 2,
        spread: float = 2.0,
    ) -> None:
        if min(candidates, keep, branches, growth) < 1 or pruning < 0 or spread < 1.0:
            raise SpecError(
                "candidates, keep, branches and growth must be >= 1, pruning >= 0 and spread >= 1, got "
                f"{candidates}, {keep}, {branches}, {growth}, {pruning} and {spread}",
                where="cgap.grow",
            )
        strategy: Strategy = RandomSearch() if inner is None else inner
        if getattr(strategy, "keeps_checkpoints", False):
            raise SpecError(
                f"the inner strategy {type(strategy).__name__} continues trainings itself",
                where="cgap.grow",
                fix="take an inner strategy that proposes architectures only",
            )
        self.inner: Any = strategy
        self.candidates, self.keep, self.branches, self.spread = candidates, keep, branches, spread
        self.growth, self.pruning = growth, pruning
        self.requires: tuple[type, ...] = tuple(getattr(strategy, "requires", ()))
        self.hyperparameters: tuple[str, ...] = tuple(getattr(strategy, "hyperparameters", ()))
        self._inner = InnerSearch(strategy, label=STAGE, hidden=(ROUND, ORDER))
        if self._inner.saves:
            # Only then: a strategy without these two methods is replayed on resume, which is just as exact.
            self.state_dict: Callable[[], dict[str, Json]] = self._state_dict
            self.load_state_dict: Callable[[dict[str, Any]], None] = self._load_state_dict

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Seeds of a round; when a stage is finished, the next stage of its best networks.

        Raises:
            SpecError: The epochs of the run are fewer than the stages.
        """
        epochs = stage_epochs(study.budget.epochs, self._stages)
        known = [trial for trial in (*study.trials, *study.pending) if STAGE in trial.proposal.info]
        number = max((_label(trial, ROUND) for trial in known), default=0)
        members = [trial for trial in known if _label(trial, ROUND) == number]
        stage = max((_label(trial, STAGE) for trial in members), default=0)
        last = [trial for trial in members if _label(trial, STAGE) == stage]
        if stage == 0 and len(last) < self.candidates:
            fresh = self._fresh(study, min(count, self.candidates - len(last)), number, epochs)
            if fresh or self._inner.waiting(study) or not last:
                return fresh
            # The inner strategy has nothing more: the round goes on with what there is.
        earlier = [trial for trial in members if _label(trial, STAGE) == stage - 1]
        left = self._next(study, earlier, number, stage, epochs)[len(last) :] if stage else []
        if left:
            return left[:count]
        waiting = {trial.number for trial in study.pending}  # a resumed run has results of some of them already
        if any(trial.number in waiting for trial in last):
            return []
        following = self._next(study, last, number, stage + 1, epochs) if stage + 1 < self._stages else []
        return following[:count] or self._fresh(study, min(count, self.candidates), number + 1, epochs)

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Passes seeds on to the inner strategy.

        Raises:
            SpecError: The network did not change, because nobody follows the orders.
        """
        ours = ORDER in trial.proposal.info and trial.state == "complete"
        if ours and study.task is not None and "cgap/params" not in trial.metrics:
            raise SpecError(
                f"trial {trial.number} was trained as any network, and did not become a seed",
                where="cgap.grow",
                why="the strategy orders changes of structure, and the callback `cgap` makes them",
                fix="add `callbacks: [cgap]` to the run, with an evaluator that trains with Lightning",
            )
        self._inner.observe(study, trial, self._budget(stage_epochs(study.budget.epochs, self._stages), 0))

    @property
    def _stages(self) -> int:
        return 2 + self.growth + self.pruning

    def _fresh(self, study: StudyView, count: int, number: int, epochs: list[int]) -> list[Proposal]:
        budget = self._budget(epochs, 0)
        return [
            msgspec.structs.replace(item, budget=budget, info={**item.info, **self._info(0, number, Order("sow"))})
            for item in self._inner.propose(study, count, budget)
        ]

    def _next(
        self, study: StudyView, members: list[Trial], number: int, stage: int, epochs: list[int]
    ) -> list[Proposal]:
        """All trials of a stage, the children of the best network first."""
        able = [
            trial
            for trial in members
            if trial.state == "complete" and trial.copied_from is None and comparable(study, trial)
        ]
        grows = stage <= self.growth
        proposals = []
        for rank, trial in enumerate(best_first(study, able)[: self.keep]):
            for branch in range(self.branches if grows else 1):
                seed = trial.proposal.seed
                factor = 1.0
                if branch:
                    rng = study.rng(f"cgap.grow/{number}/{stage}/{rank}", branch)
                    factor = float(self.spread ** rng.uniform(-1.0, 1.0))
                    seed = int(rng.integers(2**31))
                order = Order("grow", factor=factor) if grows else self._later(stage)
                proposals.append(
                    Proposal(
                        trial.architecture,
                        trial.hyperparameters,
                        self._budget(epochs, stage),
                        Inherit(trial.number),
                        self._info(stage, number, order),
                        seed=seed,
                    )
                )
        return proposals

    def _later(self, stage: int) -> Order:
        step = stage - self.growth
        return Order("prune", done=step / self.pruning) if step <= self.pruning else Order("train")

    def _budget(self, epochs: list[int], stage: int) -> Budget:
        return Budget(epochs[stage], epochs[-1])

    def _info(self, stage: int, number: int, order: Order) -> dict[str, Json]:
        return {STAGE: stage, ROUND: number, ORDER: order.to_plain()}

    def _state_dict(self) -> dict[str, Json]:
        """The state of the inner strategy; everything else is in the trials of the study."""
        return {"inner": self.inner.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.forget()
        self.inner.load_state_dict(state["inner"])


def stage_epochs(epochs: int, stages: int) -> list[int]:
    """Returns the number of epochs after which every stage ends, counted from the first one.

    Args:
        epochs: Number of epochs of the whole training.
        stages: Number of stages.

    Raises:
        SpecError: There are fewer epochs than stages.
    """
    if epochs < stages:
        raise SpecError(
            f"{plural(stages, 'stage')} do not fit into {plural(epochs, 'epoch')}",
            where="cgap.grow",
            why="every stage trains for an epoch or more: the seed, those of growth and of pruning, and the last one",
            fix=f"set budget.epochs to {stages} or more, or ask for fewer stages (growth, pruning)",
        )
    each = epochs // stages
    return [*(each * (stage + 1) for stage in range(stages - 1)), epochs]


def _label(trial: Trial, key: str) -> int:
    value = trial.proposal.info.get(key, 0)
    return value if isinstance(value, int) else 0
