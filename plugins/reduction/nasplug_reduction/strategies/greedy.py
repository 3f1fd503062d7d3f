"""The strategy `reduction.greedy`: step by step, the cut that costs least accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Trial
from nasplug.ledger.work import Work
from nasplug_reduction.budgets import between
from nasplug_reduction.strategies.course import CANDIDATE, STEP, Keep, Reduction, Result, Search
from nasplug_reduction.strategies.routine import Facts, space_of, value

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


class Greedy(Reduction):
    """Shrinks one channel group or block at a time, whichever keeps the most accuracy, until the budget is met.

    Every step has a budget on the way to the last one. For each group that can reach it alone, the network with only
    that group shrunk is scored, by default after recalibration alone; the best is trained shortly and is where the next
    step begins. Source: NetAdapt (Yang et al., ECCV 2018, arXiv 1804.03230), with recalibration in place of most short
    trainings (EagleEye, Li et al., ECCV 2020).

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        steps: Number of steps from the original network to the budget, by equal factors.
        candidates: Largest number of networks that are scored in a step.
        candidate_epochs: Number of epochs before a candidate is scored; 0 recalibrates only.
        step_epochs: Number of epochs that the best of a step is trained.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {**Reduction.nasplug_conformance, "trials": 14}

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
        steps: int = 8,
        candidates: int = 8,
        candidate_epochs: int = 0,
        step_epochs: int = 1,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare)
        if min(steps, candidates) < 1 or min(candidate_epochs, step_epochs) < 0:
            raise SpecError(
                "steps and candidates must be >= 1, epochs >= 0, got "
                f"{steps}, {candidates}, {candidate_epochs} and {step_epochs}",
                where="reduction.greedy",
            )
        self.steps, self.candidates = steps, candidates
        self.candidate_epochs, self.step_epochs = candidate_epochs, step_epochs

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 3 + 2 * self.steps * (min(groups, self.candidates) + 1)

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.3, "steps": 4, "candidates": 3, "final_epochs": 1}]

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Goes step by step to the budget."""
        space = space_of(study)
        now, weights, epochs = list(space.vector(space.full)), None, 0
        for step in range(1, self.steps + 1):
            limits = between(facts["original"], facts["limits"], step / self.steps)
            while True:
                arguments: dict[str, Json] = {"vector": now, "limits": dict(limits), "most": self.candidates}
                found = yield Work("nasplug_reduction.planning:ways", arguments)
                if found["reached"]:
                    break
                if not found["vectors"]:
                    return None if weights is None else Result(space.from_vector(now), weights, epochs)
                trials: list[Trial] = yield [
                    study.proposal(
                        space.from_vector(vector),
                        epochs=self.candidate_epochs,
                        weights_of=weights,
                        role=CANDIDATE,
                        step=step,
                    )
                    for vector in found["vectors"]
                ]
                best = max(range(len(trials)), key=lambda index: value(study, trials[index]))
                now = found["vectors"][best]
                (tuned,) = yield [
                    study.proposal(
                        space.from_vector(now),
                        epochs=self.step_epochs,
                        weights_of=weights,
                        role=STEP,
                        step=step,
                    )
                ]
                if tuned.state == "complete":
                    weights, epochs = tuned, epochs + self.step_epochs
        return Result(space.from_vector(now), weights, epochs)
