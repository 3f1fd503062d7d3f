"""The strategies whose trials are known beforehand: leave one out, pairs, add one in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from nasplug_ablation.strategies.ablator import Ablator, space_of

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


class LeaveOneOut(Ablator):
    """The base, and one variant without each component (leave one component out, LOCO).

    Args:
        seeds: Seeds that every variant is trained with.
    """

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields the base and every component alone; see the base class."""
        yield ()
        for name in space_of(study).resolved(study.task):
            yield (name,)

    def length(self, components: int) -> int:
        """Returns the number of trials; see the base class."""
        return len(self.seeds) * (components + 1)


class Pairs(Ablator):
    """Leave one out, and then every two components together: what one is worth without the other.

    The interaction of two components is what they lose together beyond what they lose alone; zero where they do not
    depend on each other, negative where one can stand in for the other.

    Args:
        seeds: Seeds that every variant is trained with.
    """

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields the base, single components and pairs; see the base class."""
        names = list(space_of(study).resolved(study.task))
        yield ()
        for name in names:
            yield (name,)
        yield from combinations(names, 2)

    def length(self, components: int) -> int:
        """Returns the number of trials; see the base class."""
        return len(self.seeds) * (1 + components + components * (components - 1) // 2)


class AddOneIn(Ablator):
    """The base, a variant without any component, and this one with each component back in.

    Leave one out undervalues components that can stand in for each other; this one shows what each is worth alone.

    Args:
        seeds: Seeds that every variant is trained with.
    """

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields the base, the variant without all, and it with each; see the base class."""
        names = list(space_of(study).resolved(study.task))
        yield ()
        yield tuple(names)
        for name in names:
            yield tuple(other for other in names if other != name)

    def length(self, components: int) -> int:
        """Returns the number of trials; see the base class."""
        return len(self.seeds) * (components + 2)
