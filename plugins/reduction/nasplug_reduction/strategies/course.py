"""What all reductions have in common: the original network first, and the network beside the uniform one at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.work import Work
from nasplug_reduction.budgets import read_budget
from nasplug_reduction.strategies.routine import ROLE, Facts, Routine, RoutineStrategy, space_of

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView

ORIGINAL, UNIFORM, FOUND, STEP, CANDIDATE = "original", "uniform", "found", "step", "candidate"
#: Key of `proposal.info`: the work whose shared weights a trial starts from.
SUPERNET = "supernet"
#: A share of the original network's parameters, or shares by cost.
Keep = float | Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """What a search hands over.

    Attributes:
        architecture: Found network.
        weights: Trial whose weights it starts from; None for those of the original network.
        epochs: Number of epochs that these weights were trained.
    """

    architecture: Architecture
    weights: Trial | None
    epochs: int


#: A routine that returns what it found.
Search: TypeAlias = "Generator[Work | list[Proposal], Any, Result | None]"


class Reduction(RoutineStrategy):
    """Measures the original network, searches, and trains what was found beside the uniform network of the same budget.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.

    Raises:
        SpecError: The budget is missing or out of range.
    """

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
    ) -> None:
        self.keep, self.at_most = read_budget(keep, at_most)
        if final_epochs < 0:
            raise SpecError(f"final_epochs must be >= 0, got {final_epochs}", where="reduction")
        self.final_epochs, self.compare = final_epochs, compare

    @abstractmethod
    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy, for the budget of a run and its display.

        Args:
            groups: Number of choices of the space.
        """

    @abstractmethod
    def search(self, study: StudyView, facts: Facts) -> Search:
        """Yields like a routine, and returns what was found.

        Args:
            study: The study.
            facts: Answer of `nasplug_reduction.planning.survey`.
        """

    def needs_weights(self, study: StudyView) -> list[int]:
        """Numbers of the trials that a later one may start from, or that are the result.

        Candidates that were scored without training are the original network's weights, recalibrated, and never needed.
        """
        own = [trial for trial in study.trials if trial.state == "complete"]
        final = [trial.number for trial in own if trial.proposal.info.get(ROLE) in (FOUND, UNIFORM)]
        if final:
            return final
        steps = [trial.number for trial in own if trial.proposal.info.get(ROLE) == STEP][-1:]
        candidates = [trial for trial in own if trial.proposal.info.get(ROLE) == CANDIDATE]
        trained = [each.number for each in candidates if study.budget_of(each).epochs or SUPERNET in each.proposal.info]
        return [*steps, *trained]

    def routine(self, study: StudyView) -> Routine:
        """Original network, search, and the final trainings."""
        space = space_of(study)
        facts = yield self.survey()
        yield [study.proposal(space.full, epochs=0, role=ORIGINAL)]
        found = yield from self.search(study, facts)
        uniform = space.from_vector(facts["uniform"][-1])
        found = found or Result(uniform, None, 0)
        if found.architecture.key == uniform.key:  # nothing to compare with
            yield [study.proposal(uniform, epochs=self.final_epochs, weights_of=found.weights, role=UNIFORM)]
            return
        final = [study.proposal(found.architecture, epochs=self.final_epochs, weights_of=found.weights, role=FOUND)]
        if self.compare:
            final.append(study.proposal(uniform, epochs=self.final_epochs + found.epochs, role=UNIFORM))
        yield final

    def survey(self, sizes: int = 1) -> Work:
        """The work that finds out what the budget means."""
        return Work("nasplug_reduction.planning:survey", {"keep": self.keep, "at_most": self.at_most, "sizes": sizes})
