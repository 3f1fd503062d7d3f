"""One decision of a search space: what it chooses from, how likely, and under which earlier decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpaceError
from nasplug.contract.grammar import DomainLike, parse
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.ranges import Categorical, Domain, FloatRange, IntRange
from nasplug.contract.records import Scalar


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of a space.

    Attributes:
        name: Name, unique inside the space.
        options: Values to choose from: a tuple of them, or an `IntRange` or `FloatRange`. A mapping in the grammar of
            `nasplug.contract.grammar`, such as `{"low": 16, "high": 64, "step": 16}`, is read into these.
        weights: Probability of each listed option under the space's prior; None means uniform.
        when: Condition, `{name of an earlier choice: value}`: the decision is made only under these values of earlier
            ones, all of which must hold, and is inactive otherwise. In place of one value stands a tuple or list of
            them, or a range. None means always.

    Raises:
        SpecError: A mapping does not follow the grammar.
        SpaceError: A range has weights, or a condition lists no values.
    """

    name: str
    options: tuple[Scalar, ...] | IntRange | FloatRange
    weights: tuple[float, ...] | None = None
    when: Mapping[str, tuple[Scalar, ...] | IntRange | FloatRange] | None = field(default=None, hash=False)

    if TYPE_CHECKING:  # what may be written is wider than what is kept

        def __init__(
            self,
            name: str,
            options: Sequence[Scalar] | Domain | JsonObject,
            weights: Sequence[float] | None = None,
            when: Mapping[str, DomainLike] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        where = f"choice {self.name!r}"
        options: Sequence[Scalar] | Domain | JsonObject = self.options
        if isinstance(options, Mapping):
            options = parse(options, where=where)
        if isinstance(options, Categorical):
            if options.weights is not None and self.weights is None:
                object.__setattr__(self, "weights", options.weights)
            options = options.options
        if isinstance(options, (IntRange, FloatRange)):
            if self.weights is not None:
                raise SpaceError("a range takes no weights", where=where, fix="list its values, or make it logarithmic")
        else:
            options = tuple(options)
        object.__setattr__(self, "options", options)
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(self.weights))
        if self.when is not None:
            given: Mapping[str, DomainLike] = self.when
            read = {name: _values(value, f"{where}, when {name!r}") for name, value in given.items()}
            object.__setattr__(self, "when", read or None)

    @property
    def domain(self) -> Domain:
        """The record that draws, steps and maps to the unit interval."""
        if isinstance(self.options, tuple):
            return Categorical(self.options, self.weights)
        return self.options

    @property
    def continuous(self) -> bool:
        """Whether the options are all numbers of an interval, so that they cannot be listed."""
        return isinstance(self.options, FloatRange) and self.options.step is None

    def gene(self, value: object) -> float:
        """Entry of the vector for a value: its position among the options, or the number itself if continuous.

        Raises:
            ValueError: The value is not an option.
        """
        domain = self.domain
        if isinstance(domain, FloatRange) and domain.step is None:
            if not domain.contains(value):
                raise ValueError(f"{value!r} is not in {self.options}")
            return float(value)
        return domain.index(value)

    def value(self, gene: float) -> Scalar:
        """The inverse of `gene`."""
        return float(gene) if self.continuous else self.options[int(gene)]


def _values(value: DomainLike, where: str) -> tuple[Scalar, ...] | IntRange | FloatRange:
    """The values of an earlier choice that a condition allows; a list is always a list of values."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise SpaceError("the condition allows no value", where=where, fix="list at least one")
        return tuple(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return (value,)
    read = parse(value, where=where)
    return read.options if isinstance(read, Categorical) else read


def nest(name: str, choices: Sequence[Choice], when: Mapping[str, DomainLike] | None = None) -> list[Choice]:
    """The choices of an inner space as part of an outer one: `kernel` becomes `name.kernel`.

    Args:
        name: Prefix of the names.
        choices: Decisions of the inner space, e.g. `space.choices`; conditions among them are kept.
        when: Condition on choices of the outer space, under which the inner space is there at all.

    Returns:
        The renamed choices, to be placed behind the outer choices that `when` names.
    """
    return [
        Choice(
            f"{name}.{choice.name}",
            choice.options,
            choice.weights,
            {**(when or {}), **{f"{name}.{inner}": values for inner, values in (choice.when or {}).items()}} or None,
        )
        for choice in choices
    ]
