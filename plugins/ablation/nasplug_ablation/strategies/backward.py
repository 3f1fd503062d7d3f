"""Greedy backward elimination: what is missed least goes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError
from nasplug_ablation.strategies.ablator import Ablator, known, space_of, values

if TYPE_CHECKING:
    from nasplug.contract.jsondata import Json
    from nasplug.ledger.view import StudyView


class Backward(Ablator):
    """Takes away one component after the other, each time the one without which the mean over the seeds is best.

    It ends when every further removal costs more than `tolerance` against the base, or when nothing is left.

    Args:
        seeds: Seeds that every variant is trained with.
        tolerance: Loss of the objective against the base that is accepted, such as 0.01.
        keep: Number of components that stay at least.

    Raises:
        SpecError: A value is out of range.
    """

    complete = False

    def __init__(self, seeds: Sequence[int] = (0, 1, 2), tolerance: float = 0.0, keep: int = 0) -> None:
        super().__init__(seeds)
        if tolerance < 0 or keep < 0:
            raise SpecError("tolerance and keep are at least 0", where="ablation.backward")
        self.tolerance, self.keep = tolerance, keep

    @property
    def settings(self) -> dict[str, Json]:
        """Options beside the seeds; see the base class."""
        return {"tolerance": self.tolerance, "keep": self.keep}

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields one wave after the other; see the base class."""
        names = list(space_of(study).resolved(study.task))
        yield ()
        for gone in self.path(study, names):
            if len(names) - len(gone) > self.keep:
                yield from _wave(gone, names)

    def path(self, study: StudyView, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Yields the variants that the elimination goes through as far as results are known, the base first.

        Args:
            study: The study.
            names: Names of all components.
        """
        gone: tuple[str, ...] = ()
        while True:
            yield gone
            wave = _wave(gone, names)
            if len(names) - len(gone) <= self.keep:
                return
            if not all(known(study, each, self.seeds) for each in ((), *wave)):
                return
            means = {each: _mean(study, each) for each in wave}
            gone = max(wave, key=lambda each: means[each])
            if means[gone] < _mean(study, ()) - self.tolerance:
                return

    def length(self, components: int) -> int:
        """Returns the number of trials if all components go; see the base class."""
        return len(self.seeds) * (1 + sum(range(self.keep + 1, components + 1)))


def _wave(gone: tuple[str, ...], names: Sequence[str]) -> list[tuple[str, ...]]:
    return [(*gone, name) for name in names if name not in gone]


def _mean(study: StudyView, names: Sequence[str]) -> float:
    found = values(study, names)
    return fmean(found.values()) if found else -float("inf")
