"""The strategy `cgap.select`: candidates are trained, the most stable ones are chosen, and go on from their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from nasplug.builtin.random import RandomSearch
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import Strategy
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.nested import InnerSearch
from nasplug.ledger.view import StudyView

#: Keys of `proposal.info`: 0 for a candidate, and 1, 2, ... for those that go on, by rank; number of the round.
RANK, ROUND = "rank", "round"


class Select:
    """Acquisitive Learning as a search: inheritance, selection by stability, acquisition.

    Another strategy proposes `candidates` trials, which an evaluator such as `cgap.acquire` with `inherit_only: true`
    trains on the classes of the first stage. Of those that are complete and feasible, the `keep` best by a cost or
    metric start again from their weights, and learn the other classes. If the budget has more trials, the next round
    begins, with new candidates of the same search.

    Source: Du, Li, Seo, Liu, Cao, "Noise-Based Selection of Robust Inherited Model for Accurate Continual Learning",
    CVPR workshops 2020.

    Args:
        inner: Strategy that proposes candidates; None means random search.
        candidates: Number of candidates of a round.
        keep: Number of candidates that go on.
        by: Cost or metric to select by.
        direction: Whether it is to be small (`min`) or large (`max`).

    Raises:
        SpecError: A value is out of range.
    """

    def __init__(
        self,
        inner: Strategy | None = None,
        candidates: int = 8,
        keep: int = 1,
        by: str = "stability/drop",
        direction: Literal["min", "max"] = "min",
    ) -> None:
        if not 1 <= keep <= candidates:
            raise SpecError(f"cannot keep {keep} of {candidates} candidates", where="cgap.select")
        if direction not in ("min", "max"):
            raise SpecError(f"the direction {direction!r} is neither min nor max", where="cgap.select")
        strategy: Strategy = RandomSearch() if inner is None else inner
        if getattr(strategy, "keeps_checkpoints", False):
            raise SpecError(
                f"the inner strategy {type(strategy).__name__} continues trainings itself",
                where="cgap.select",
                fix="take an inner strategy that proposes architectures only",
            )
        self.inner: Any = strategy
        self.candidates, self.keep, self.by, self.direction = candidates, keep, by, direction
        self.requires: tuple[type, ...] = tuple(getattr(strategy, "requires", ()))
        self.hyperparameters: tuple[str, ...] = tuple(getattr(strategy, "hyperparameters", ()))
        self._inner = InnerSearch(strategy, label=RANK, hidden=(ROUND,))
        if self._inner.saves:
            # Only then: a strategy without these two methods is replayed on resume, which is just as exact.
            self.state_dict: Callable[[], dict[str, Json]] = self._state_dict
            self.load_state_dict: Callable[[dict[str, Any]], None] = self._load_state_dict

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries it with."""
        return [{"candidates": 4, "keep": 2, "by": "val_acc", "direction": "max"}]

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Candidates of a round; when all of them are finished, those that go on.

        Raises:
            SpecError: The candidates do not have what they are to be selected by.
        """
        known = [*study.trials, *study.pending]
        number = max((_round(trial) for trial in known), default=0)
        members = [trial for trial in known if _round(trial) == number and not _rank(trial)]
        chosen = sum(1 for trial in known if _round(trial) == number and _rank(trial))
        if not chosen and len(members) < self.candidates:
            fresh = self._fresh(study, min(count, self.candidates - len(members)), number)
            if fresh or self._inner.waiting(study) or not members:
                return fresh
            # The inner strategy has nothing more: the round goes on with what there is.
        waiting = {trial.number for trial in study.pending}  # a resumed run has results of some of them already
        if any(trial.number in waiting for trial in members):
            return []
        left = self._best(study, members)[chosen:]
        if not left:
            return self._fresh(study, min(count, self.candidates), number + 1)
        return [self._chosen(study, trial, chosen + 1 + i, number) for i, trial in enumerate(left[:count])]

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Passes candidates on to the inner strategy."""
        self._inner.observe(study, trial, study.budget)

    def _fresh(self, study: StudyView, count: int, number: int) -> list[Proposal]:
        return [
            msgspec.structs.replace(item, info={**item.info, RANK: 0, ROUND: number})
            for item in self._inner.propose(study, count, study.budget)
        ]

    def _chosen(self, study: StudyView, trial: Trial, rank: int, number: int) -> Proposal:
        proposal = study.proposal(
            trial.architecture, dict(trial.hyperparameters), weights_of=trial, by=self.by, value=trial.values[self.by]
        )
        return msgspec.structs.replace(proposal, info={**proposal.info, RANK: rank, ROUND: number})

    def _best(self, study: StudyView, members: list[Trial]) -> list[Trial]:
        """The candidates that go on, the best first; those of one network count once."""
        able: dict[str, Trial] = {}
        for trial in members:
            if trial.copied_from is not None or not study.is_candidate(trial):
                continue
            if self.by not in trial.values:
                raise SpecError(
                    f"trial {trial.number} has no {self.by!r} to select by",
                    where="cgap.select.by",
                    why=f"it has {', '.join(sorted(trial.values))}",
                    fix="list the cost under `costs:`, or name another one",
                )
            able.setdefault(trial.architecture.key, trial)
        sign = 1.0 if self.direction == "min" else -1.0
        return sorted(able.values(), key=lambda trial: (sign * trial.values[self.by], trial.number))[: self.keep]

    def _state_dict(self) -> dict[str, Json]:
        """The state of the inner strategy; everything else is in the trials of the study."""
        return {"inner": self.inner.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.forget()
        self.inner.load_state_dict(state["inner"])


def _rank(trial: Trial) -> int:
    rank = trial.proposal.info.get(RANK, 0)
    return rank if isinstance(rank, int) else 0


def _round(trial: Trial) -> int:
    number = trial.proposal.info.get(ROUND, 0)
    return number if isinstance(number, int) else 0
