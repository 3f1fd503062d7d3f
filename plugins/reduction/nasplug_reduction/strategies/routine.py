"""Strategies written as one routine: rounds of trials, and work in between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, cast, runtime_checkable

from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Architecture, Failure, Proposal, Trial
from nasplug.ledger.work import Work

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.ledger.view import StudyView

#: Key of `proposal.info`: part of a trial in a reduction.
ROLE = "role"
#: The role of a trial that only says why the reduction ended.
GIVEN_UP = "given up"
#: A routine yields work or a round of proposals, and gets the result of the work or the finished trials.
Routine: TypeAlias = "Generator[Work | list[Proposal], Any, None]"
#: Answer of `nasplug_reduction.planning.survey`: plain data about the groups of the original network.
Facts: TypeAlias = "Mapping[str, Any]"


@runtime_checkable
class Reduces(Protocol):
    """A space around one trained network."""

    @property
    def full(self) -> Architecture:
        """The original network."""

    @property
    def smallest(self) -> Architecture:
        """The smallest network of the space."""

    def vector(self, architecture: Architecture) -> tuple[float, ...]:
        """Indices of the chosen options."""

    def from_vector(self, indices: Sequence[float]) -> Architecture:
        """The inverse of `vector`."""


class RoutineStrategy(ABC):
    """A strategy whose whole course is written in one function.

    The function is gone through again at every proposal, with the trials and the work that are finished; so there is no
    state beside the study, and a resumed run is exact.
    """

    requires = (Reduces,)
    #: What the conformance suite has to know.
    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        "trials": 12,
        "stochastic": False,
        "make_space": lambda suite: _small_space(),
    }

    @abstractmethod
    def routine(self, study: StudyView) -> Routine:
        """Yields work, and rounds of proposals; a round is finished before the routine goes on."""

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next trials of the round, `[]` while it is measured or work is done."""
        own = [trial for trial in study.trials if ROLE in trial.proposal.info]
        started = sum(ROLE in trial.proposal.info for trial in study.pending)
        routine, answer, used = self.routine(study), cast("Any", None), 0
        while True:
            try:
                asked = routine.send(answer)
            except StopIteration:
                return []
            if isinstance(asked, Work):
                outcome = study.work(asked)
                if outcome is None:
                    return []
                if outcome.failure is not None:
                    return self._given_up(study, outcome.failure.message)
                answer = outcome.result
                continue
            answer = own[used : used + len(asked)]
            if len(answer) < len(asked):
                begun = len(answer) + started
                return asked[begun : begun + count]
            used += len(asked)

    def _given_up(self, study: StudyView, why: str) -> list[Proposal]:
        """One failed trial that says why there are no more."""
        if any(trial.proposal.info.get(ROLE) == GIVEN_UP for trial in (*study.trials, *study.pending)):
            return []
        return [study.proposal(space_of(study).full, failure=Failure("work", why), role=GIVEN_UP)]

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: Mapping[str, Json]) -> None:
        """Takes nothing: the study is read anew at every proposal."""
        del state


def _small_space() -> SearchSpace:
    from nasplug_reduction.space import ReductionSpace

    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))


def space_of(study: StudyView) -> Reduces:
    """Returns the space of a study, as one of reductions."""
    return cast("Reduces", study.space)


def value(study: StudyView, trial: Trial) -> float:
    """Signed first objective of a trial, larger is better; minus infinity if it has none."""
    if trial.state != "complete":
        return float("-inf")
    objective = study.objectives[0]
    found = trial.values.get(objective.name, float("nan"))
    if found != found:
        return float("-inf")
    return found if objective.direction == "max" else -found
