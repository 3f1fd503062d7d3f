"""How the choices of a space and the searched hyperparameters become the categorical and numeric parts of Q-NAS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.contract.choice import Choice
from nasplug.contract.ranges import Categorical, Domain, FloatRange, IntRange
from nasplug.contract.records import Scalar
from nasplug_qnas.algorithm import Candidate

#: Set before the names of numeric choices of the space, which may be those of hyperparameters too.
_SPACE = "space/"


class Encoding:
    """Listed options are genes with a probability for each option; ranges are pulses.

    Choices whose condition does not hold are drawn and updated like all others: their genes are ignored by the space.

    Args:
        choices: Decisions of the space, in the order of its vector.
        hyperparameters: Searched hyperparameters by name.

    Attributes:
        sizes: Number of options of every gene: listed choices first, then listed hyperparameters.
        initial: Starting probabilities of every gene.
        ranges: Ranges of every pulse.
    """

    def __init__(self, choices: Sequence[Choice], hyperparameters: Mapping[str, Domain]) -> None:
        self._choices = tuple(choices)
        self._listed = {name: each for name, each in hyperparameters.items() if isinstance(each, Categorical)}
        genes = [choice.domain for choice in choices if isinstance(choice.options, tuple)] + [*self._listed.values()]
        # A search of numbers alone still has one gene, which is constant.
        domains = [domain for domain in genes if isinstance(domain, Categorical)] or [Categorical((None,))]
        self.sizes: list[int] = [domain.size for domain in domains]
        self.initial: list[Sequence[float]] = [
            domain.weights or [1.0 / domain.size] * domain.size for domain in domains
        ]
        numeric: dict[str, Domain] = {_SPACE + choice.name: choice.domain for choice in choices} | {**hyperparameters}
        self.ranges: dict[str, FloatRange | IntRange] = {
            name: domain for name, domain in numeric.items() if isinstance(domain, (FloatRange, IntRange))
        }

    def vector(self, candidate: Candidate) -> list[float]:
        """The space's vector of a candidate."""
        genes = iter(candidate.genes)
        return [
            next(genes)
            if isinstance(choice.options, tuple)
            else choice.gene(candidate.hyperparameters[_SPACE + choice.name])
            for choice in self._choices
        ]

    def hyperparameters(self, candidate: Candidate) -> dict[str, Scalar]:
        """The searched hyperparameters of a candidate."""
        found: dict[str, Scalar] = {
            name: value for name, value in candidate.hyperparameters.items() if not name.startswith(_SPACE)
        }
        genes = candidate.genes[sum(isinstance(choice.options, tuple) for choice in self._choices) :]
        found |= {name: domain.options[gene] for (name, domain), gene in zip(self._listed.items(), genes, strict=False)}
        return found

    def flags(self, reduces: Any, count: int) -> list[list[bool]]:
        """Which options of every gene lower the resolution.

        Args:
            reduces: Callable that says it for an option of an architecture; hyperparameters never do.
            count: Number of choices, from the first, that are decisions of the architecture.
        """
        listed = [choice.options for choice in self._choices[:count] if isinstance(choice.options, tuple)]
        rows = [[bool(reduces(option)) for option in options] for options in listed]
        return rows + [[False] * size for size in self.sizes[len(rows) :]]
