"""Shapley values by sampled orders: what a component adds on average, whatever is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug_ablation.strategies.ablator import Ablator, Row, space_of, values

if TYPE_CHECKING:
    from nasplug.contract.jsondata import Json
    from nasplug.ledger.view import StudyView


class Shapley(Ablator):
    """Shapley values by permutation sampling (Castro, Gómez, Tejada 2009), with an order and its reverse in turns.

    Each seed takes components away in orders of its own, one after the other; what a component is worth in an order is
    the difference that its removal made. Its value is the mean over orders, and the spread over seeds has the noise of
    training and of sampling in it.

    Args:
        seeds: Seeds; each has orders of its own.
        orders: Number of orders for each seed.

    Raises:
        SpecError: There are no orders.
    """

    def __init__(self, seeds: Sequence[int] = (0, 1, 2), orders: int = 4) -> None:
        super().__init__(seeds)
        if orders < 1:
            raise SpecError(f"{orders} is too small", where="ablation.shapley.orders", fix="give at least 1")
        self.orders = orders

    @property
    def settings(self) -> dict[str, Json]:
        """Options beside the seeds; see the base class."""
        return {"orders": self.orders}

    def order(self, study: StudyView, names: Sequence[str], seed: int, index: int) -> list[str]:
        """Returns the order in which one seed takes components away; every second one is the reverse of that before.

        Args:
            study: The study.
            names: Names of all components.
            seed: Seed of the trials.
            index: Number of the order.
        """
        rng = study.rng(f"shapley-{seed}", index // 2)
        shuffled = [names[int(position)] for position in rng.permutation(len(names))]
        return shuffled[::-1] if index % 2 else shuffled

    def _rows(self, study: StudyView) -> Iterator[Row]:
        names = list(space_of(study).resolved(study.task))
        known: set[Row] = set()
        rows: list[Row] = [((), seed) for seed in self.seeds]
        for index in range(self.orders):
            for seed in self.seeds:
                order = self.order(study, names, seed, index)
                rows += [(tuple(sorted(order[: end + 1])), seed) for end in range(len(order))]
        for row in rows:
            if row not in known:
                known.add(row)
                yield row

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields every variant that a seed trains; see the base class."""
        yield from dict.fromkeys(names for names, _ in self._rows(study))

    def length(self, components: int) -> int:
        """Returns the number of trials if no two orders share a variant; see the base class."""
        return len(self.seeds) * (1 + self.orders * components)

    def contributions(self, study: StudyView, names: Sequence[str]) -> dict[str, dict[int, float]]:
        """Returns the estimate of each component by seed: positive where the component helps.

        Args:
            study: The study.
            names: Names of all components.
        """
        found: dict[str, dict[int, float]] = {name: {} for name in names}
        for seed in self.seeds:
            steps: dict[str, list[float]] = {name: [] for name in names}
            for index in range(self.orders):
                order = self.order(study, names, seed, index)
                for end, name in enumerate(order):
                    before = values(study, order[:end]).get(seed)
                    after = values(study, order[: end + 1]).get(seed)
                    if before is not None and after is not None:
                        steps[name].append(before - after)
            for name, each in steps.items():
                if each:
                    found[name][seed] = fmean(each)
        return found
