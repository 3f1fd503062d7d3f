"""The arithmetic of conditional and numeric choices, on vectors of genes.

A gene is the position of a listed option, or the number itself on a continuous range. A vector always has one gene per
choice; the genes of inactive choices are ignored, and hold the first option or the lower bound in the canonical form.
A choice is active if every earlier choice that its condition names is active and has one of the allowed values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.ranges import Categorical, Domain
from nasplug.contract.records import Scalar

Genes: TypeAlias = tuple[float, ...]
#: Positions of earlier choices with the genes that a condition allows them.
Condition: TypeAlias = tuple[tuple[int, frozenset[int]], ...]


class ChoiceTree:
    """Choices with their conditions, checked.

    Args:
        choices: The decisions, each with valid options.
        where: The space, for messages.

    Attributes:
        conditions: Conditions by choice: what must hold for it to be active.
        blank: Genes of inactive choices.
        sizes: Numbers of options; None for a continuous choice.

    Raises:
        SpaceError: A condition names a choice that does not come earlier or is continuous, or a value it cannot have.
    """

    def __init__(self, choices: Sequence[Choice], where: str) -> None:
        self.choices = tuple(choices)
        self.domains: tuple[Domain, ...] = tuple([choice.domain for choice in self.choices])
        self.sizes: tuple[int | None, ...] = tuple([domain.size for domain in self.domains])
        self.conditions = tuple([self._condition(position, where) for position in range(len(self.choices))])
        self.blank: Genes = tuple(
            [domain.low if choice.continuous else 0 for choice, domain in zip(self.choices, self.domains, strict=True)]  # type: ignore[union-attr]
        )
        self.conditional = any(self.conditions)
        self._lasts = [0] * len(self.choices)  # position of the last condition that looks at a choice, 0 if none does
        for position, condition in enumerate(self.conditions):
            for parent, _ in condition:
                self._lasts[parent] = position

    def _condition(self, position: int, where: str) -> Condition:
        choice = self.choices[position]
        where = f"{where}, choice {choice.name!r}"
        earlier = {each.name: index for index, each in enumerate(self.choices[:position])}
        found = []
        for name, values in (choice.when or {}).items():
            if name not in earlier:
                raise SpaceError(
                    f"its condition names {name!r}, which is not an earlier choice",
                    where=where,
                    fix=f"place it behind that choice; {did_you_mean(name, earlier)}",
                )
            parent = self.choices[earlier[name]]
            if parent.continuous:
                raise SpaceError(
                    f"its condition names {name!r}, which is continuous",
                    where=where,
                    fix=f"give {name!r} a step, or let both depend on a listed choice",
                )
            domain = self.domains[earlier[name]]
            if not isinstance(values, tuple):  # a range of values, of which the parent may have some
                allowed: list[Scalar] = [value for value in parent.options if values.contains(value)]
            else:
                allowed = list(values)
            for value in allowed:
                if not domain.contains(value):
                    raise SpaceError(
                        f"its condition allows {name!r} to be {value!r}, which is not one of its options",
                        where=where,
                        fix=did_you_mean(str(value), map(str, parent.options))
                        if isinstance(parent.options, tuple)
                        else f"the options are {parent.options}",
                    )
            if not allowed:
                raise SpaceError(f"its condition allows no option of {name!r}", where=where, fix="widen the range")
            found.append((earlier[name], frozenset(domain.index(value) for value in allowed)))
        return tuple(found)

    # -- the active part -----------------------------------------------------------------------------------------

    def active(self, genes: Sequence[float]) -> list[bool]:
        """Whether each choice is made."""
        found: list[bool] = []
        for condition in self.conditions:
            found.append(all(found[parent] and genes[parent] in allowed for parent, allowed in condition))
        return found

    def canonical(self, genes: Sequence[float]) -> Genes:
        """The same decisions, with inactive genes blank."""
        if not self.conditional:
            return tuple(genes)
        return tuple(
            [gene if on else blank for gene, on, blank in zip(genes, self.active(genes), self.blank, strict=True)]
        )

    # -- variation -----------------------------------------------------------------------------------------------

    def _drawn(self, position: int, uniform: float) -> float:
        """A gene from the prior, by one uniform number."""
        domain, choice = self.domains[position], self.choices[position]
        if isinstance(domain, Categorical) and choice.weights is not None:
            cumulative = np.cumsum(choice.weights)
            return min(int(np.searchsorted(cumulative / cumulative[-1], uniform, side="right")), domain.size - 1)
        return choice.gene(domain.from_unit(uniform))

    def _completed(self, genes: list[float | None], uniforms: Sequence[float]) -> Genes:
        """Draws the genes that are None where they are active; blanks what is inactive."""
        found: list[float] = []
        active: list[bool] = []
        for position, (gene, condition) in enumerate(zip(genes, self.conditions, strict=True)):
            on = all(active[parent] and found[parent] in allowed for parent, allowed in condition)
            active.append(on)
            if not on:
                found.append(self.blank[position])
            else:
                found.append(self._drawn(position, uniforms[position]) if gene is None else gene)
        return tuple(found)

    def sample(self, rng: np.random.Generator) -> Genes:
        """Draws every active choice from its weights, from the first to the last; uses one number per choice."""
        return self._completed([None] * len(self.choices), rng.random(len(self.choices)).tolist())

    def mutate(self, genes: Sequence[float], rng: np.random.Generator) -> Genes:
        """Changes one active choice, picked uniformly; what becomes active by that is drawn from the prior."""
        active = self.active(genes)
        free = [position for position, size in enumerate(self.sizes) if active[position] and size != 1]
        if not free:
            return tuple(genes)
        position = free[int(rng.integers(len(free)))]
        choice = self.choices[position]
        changed: list[float | None] = [gene if on else None for gene, on in zip(genes, active, strict=True)]
        changed[position] = choice.gene(self.domains[position].mutate(choice.value(genes[position]), rng))  # type: ignore[arg-type]
        return self._completed(changed, rng.random(len(genes)).tolist() if self.conditional else ())

    def cross(self, first: Sequence[float], second: Sequence[float], rng: np.random.Generator) -> Genes:
        """Uniform crossover of active genes: where one parent makes a decision that is its gene, where none draws."""
        take = (rng.random(len(self.choices)) < 0.5).tolist()
        uniforms = rng.random(len(self.choices)).tolist() if self.conditional else ()
        mixed: list[float | None] = []
        rows = zip(first, second, self.active(first), self.active(second), take, strict=True)
        for one, other, in_first, in_second, from_first in rows:
            if in_first and (from_first or not in_second):
                mixed.append(one)
            else:
                mixed.append(other if in_second else None)
        return self._completed(mixed, uniforms)

    def neighbours(self, genes: Sequence[float]) -> Iterator[Genes]:
        """Vectors one decision away; a choice that becomes active takes its first option or its lower bound."""
        active = self.active(genes)
        for position, choice in enumerate(self.choices):
            if not active[position]:
                continue
            for value in self.domains[position].neighbours(choice.value(genes[position])):  # type: ignore[arg-type]
                changed = list(self.canonical(genes))
                changed[position] = choice.gene(value)
                yield self.canonical(changed)

    # -- all of them ---------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Exact number of combinations of active choices, which must all have listed options."""

        @cache
        def count(position: int, state: tuple[tuple[int, int | None], ...]) -> int:
            """Combinations from this choice on, given what later conditions ask about earlier ones."""
            if position == len(self.choices):
                return 1
            known = dict(state)
            on = all(known[parent] in allowed for parent, allowed in self.conditions[position])
            kept = tuple([(parent, gene) for parent, gene in state if self._lasts[parent] > position])
            size = self.sizes[position]
            assert size is not None
            if not self._lasts[position]:
                return (size if on else 1) * count(position + 1, kept)
            if not on:
                return count(position + 1, (*kept, (position, None)))
            return sum(
                number * count(position + 1, (*kept, (position, gene))) for gene, number in self._groups(position)
            )

        return count(0, ())

    def _groups(self, position: int) -> list[tuple[int, int]]:
        """A gene for every group of options that no condition tells apart, with the size of the group."""
        asked = [allowed for condition in self.conditions for parent, allowed in condition if parent == position]
        groups: dict[tuple[bool, ...], list[int]] = {}
        for gene in sorted(frozenset[int]().union(*asked)):
            groups.setdefault(tuple([gene in allowed for allowed in asked]), []).append(gene)
        found = [(genes[0], len(genes)) for genes in groups.values()]
        rest = (self.sizes[position] or 0) - sum(number for _, number in found)
        return [*found, (-1, rest)] if rest else found

    def walk(self) -> Iterator[Genes]:
        """All canonical vectors, in lexicographic order."""

        def extend(genes: list[float], active: list[bool]) -> Iterator[Genes]:
            position = len(genes)
            if position == len(self.choices):
                yield tuple(genes)
                return
            on = all(active[parent] and genes[parent] in allowed for parent, allowed in self.conditions[position])
            size = self.sizes[position]
            assert size is not None
            for gene in range(size) if on else (self.blank[position],):
                yield from extend([*genes, gene], [*active, on])

        return extend([], [])
