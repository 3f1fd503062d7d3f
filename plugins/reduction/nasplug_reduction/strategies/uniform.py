"""The strategy `reduction.uniform`: all widths by the same factor, the baseline that has to be beaten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import JsonObject
from nasplug.ledger.work import Work
from nasplug_reduction.strategies.course import STEP, Keep, Reduction, Search
from nasplug_reduction.strategies.routine import Facts, space_of

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


class Uniform(Reduction):
    """Shrinks all channel groups by the same factor, at one or several sizes on the way to the budget.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that every size is trained.
        sizes: Number of sizes, the last of which keeps to the budget; more than one draw a curve.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        sizes: int = 1,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare=True)
        if sizes < 1:
            raise SpecError(f"sizes must be >= 1, got {sizes}", where="reduction.uniform")
        self.sizes = sizes

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 1 + self.sizes

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.2, "final_epochs": 1, "sizes": 11}]

    def survey(self, sizes: int = 1) -> Work:
        """The work that finds out what the budget means."""
        return super().survey(self.sizes)

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Trains the larger sizes."""
        space = space_of(study)
        larger = facts["uniform"][:-1]
        if larger:
            yield [study.proposal(space.from_vector(vector), epochs=self.final_epochs, role=STEP) for vector in larger]
        return None
