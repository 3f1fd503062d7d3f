"""Base class for spaces made of named choices: every capability for free but the graph."""

from __future__ import annotations

import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.members import check_member
from nasplug.contract.protocols import withdraw
from nasplug.contract.records import Architecture, Genotype, Scalar, freeze
from nasplug.contract.wording import plural
from nasplug.spaces.numbering import Numbering
from nasplug.spaces.tree import ChoiceTree

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task


_encode = json.JSONEncoder(separators=(",", ":")).encode
#: Labels name the choices, up to so many of them.
_NAMED = 4


class ChoiceSpace(ABC):
    """A space of named choices; the genotype is the tuple of chosen values.

    Options are listed, or a range of integers or real numbers. A choice may depend on earlier ones (`Choice.when`):
    where its condition does not hold it is inactive, its entry of the genotype is None, and only the active choices
    make up the key. The prior draws the active choices one after the other, each from its weights or evenly on its
    scale.

    Subclasses give `choices` and `build`, and override `canonical` where different genotypes build the same network. In
    return they have all of sample, mutate, cross, neighbours, enumerate, labels and the vector form. A space with a
    continuous choice cannot be enumerated or tabulated.

    Example:
        >>> choices = [
        ...     Choice("op", ("conv", "pool")),
        ...     Choice("kernel", (3, 5), when={"op": "conv"}),
        ...     Choice("units", {"low": 16, "high": 64, "step": 16}),
        ... ]

    Args:
        name: Slug of the space.
        choices: Decisions, each behind those that its condition names. A single option is allowed (a constant).

    Raises:
        SpaceError: No options, two choices of one name, repeated options, weights that are not a distribution, or a
            condition that cannot hold.
    """

    def __init__(self, name: str, choices: Sequence[Choice]) -> None:
        self.name = name
        self._choices = tuple(choices)
        self._cumulative: list[npt.NDArray[np.float64] | None] = []
        self._index: list[dict[Genotype, int]] = []
        names = [choice.name for choice in self._choices]
        if len(set(names)) != len(names):
            raise SpaceError("two choices have one name", where=f"space {name!r}")
        for choice in self._choices:
            options = choice.options if isinstance(choice.options, tuple) else ()
            if isinstance(choice.options, tuple) and (not options or len(set(options)) != len(options)):
                raise SpaceError(f"choice {choice.name!r} needs distinct options", where=f"space {name!r}")
            self._index.append({option: position for position, option in enumerate(options)})
            if choice.weights is None:
                self._cumulative.append(None)
                continue
            weights = np.asarray(choice.weights, dtype=np.float64)
            if weights.shape != (len(options),) or (weights < 0).any() or abs(weights.sum() - 1) > 1e-9:
                raise SpaceError(
                    f"the weights of choice {choice.name!r} are not probabilities of its "
                    f"{plural(len(options), 'option')}",
                    where=f"space {name!r}",
                )
            self._cumulative.append(np.cumsum(weights / weights.sum()))
        self._tree = ChoiceTree(self._choices, f"space {name!r}")
        #: Listed options without conditions: what most spaces are, and what the short ways below are for.
        self._flat = not self._tree.conditional and all(isinstance(each.options, tuple) for each in self._choices)
        self._sizes = np.array([size for size in self._tree.sizes if self._flat], dtype=np.int64)
        self._free = [position for position, size in enumerate(self._sizes) if size > 1]
        self._options: tuple[Any, ...] = tuple(choice.options for choice in self._choices)
        self._weighted = any(cumulative is not None for cumulative in self._cumulative)
        #: JSON text of every option, where keys can be put together from them.
        self._texts: list[list[str]] | None = None
        if self._flat and type(self).canonical is ChoiceSpace.canonical:
            self._texts = [[_encode(option) for option in options] for options in self._options]
        #: What a label says of every option.
        self._words: list[dict[Any, str]] = []
        if self._flat:
            named = len(self._choices) <= _NAMED
            self._words = [
                {option: f"{choice.name}={text_of(option)}" if named else text_of(option) for option in options}
                for choice, options in zip(self._choices, self._options, strict=True)
            ]
        self._numbering = Numbering(self._tree, name)
        self._continuous = [choice.name for choice in self._choices if choice.continuous]
        if self._continuous:
            withdraw(self, "__iter__", "codes", "code", "from_code")

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions, in the order of the genotype."""
        return self._choices

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """A form that is equal for genotypes that build the same network; the genotype itself by default.

        Args:
            genotype: One value for each choice, None for those that are inactive.
        """
        return genotype

    @abstractmethod
    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained network."""

    def active(self, architecture: Architecture) -> dict[str, Scalar]:
        """The choices that are made, with their values, by name and in order."""
        genotype: Any = architecture.genotype
        made = [True] * len(genotype) if self._flat else self._tree.active(self.vector(architecture))
        return {choice.name: value for choice, value, on in zip(self._choices, genotype, made, strict=True) if on}

    def label(self, architecture: Architecture) -> str:
        """The active choices: `op=conv kernel=3`, or the values alone where there are many."""
        if self._flat:
            genotype: Any = architecture.genotype
            return " ".join([words[value] for words, value in zip(self._words, genotype, strict=True)])
        made = self.active(architecture)
        if len(made) > _NAMED:
            return " ".join(map(text_of, made.values()))
        return " ".join(f"{name}={text_of(value)}" for name, value in made.items())

    def architecture(self, genotype: Json) -> Architecture:
        """Checks a genotype and gives it its canonical key.

        Args:
            genotype: One value for each choice, where those of inactive choices are ignored; or a mapping of the
                active choices by name.

        Raises:
            SpaceError: Wrong length, or a value that is not among the options.
        """
        try:
            frozen = freeze(self._positional(genotype) if isinstance(genotype, Mapping) else genotype)
        except TypeError as error:
            raise SpaceError(f"{genotype!r} is not a genotype", where=f"space {self.name!r}", why=str(error)) from error
        if not isinstance(frozen, tuple) or len(frozen) != len(self._choices):
            raise SpaceError(
                f"expected a genotype of {plural(len(self._choices), 'entry')}, got {genotype!r}",
                where=f"space {self.name!r}",
            )
        if not self._flat:
            return self.from_vector(self._read(frozen))
        for value, choice, options, index in zip(frozen, self._choices, self._options, self._index, strict=True):
            # 1, 1.0 and True are equal in Python and differ in JSON: only the option itself is one.
            if value not in index or type(value) is not type(options[index[value]]):
                raise self._foreign(choice, value)
        return self._make(frozen)

    def _positional(self, named: JsonObject) -> list[object]:
        known = {choice.name: position for position, choice in enumerate(self._choices)}
        values: list[object] = [None] * len(known)
        for name, value in named.items():
            if name not in known:
                raise SpaceError(
                    f"there is no choice {name!r}", where=f"space {self.name!r}", fix=did_you_mean(str(name), known)
                )
            values[known[name]] = value
        return values

    def _read(self, genotype: tuple[Genotype, ...]) -> list[float]:
        """Genes of a genotype; None stands for inactive choices, whose other values are checked and then ignored."""
        genes: list[float] = []
        for position, (value, choice) in enumerate(zip(genotype, self._choices, strict=True)):
            try:
                genes.append(choice.gene(value))
            except ValueError:
                held = self._tree.active([*genes, *self._tree.blank[position:]])[position]
                if held or value is not None:
                    raise self._foreign(choice, value) from None
                genes.append(self._tree.blank[position])
        return genes

    def _foreign(self, choice: Choice, value: object) -> SpaceError:
        listed = isinstance(choice.options, tuple)
        return SpaceError(
            f"{value!r} is not an option of {choice.name!r}",
            where=f"space {self.name!r}",
            fix=did_you_mean(str(value), map(str, choice.options)) if listed else f"give a value of {choice.options}",
        )

    def _make(self, genotype: tuple[Genotype, ...]) -> Architecture:
        return Architecture(self.name, genotype, _encode(self.canonical(genotype)))

    def validate(self, architecture: Architecture) -> None:
        """Checks name, genotype and key.

        Raises:
            SpaceError: The architecture is not of this space.
        """
        check_member(self, architecture)

    # -- variation -----------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws every active choice independently, from its weights or evenly on its scale."""
        if not self._flat:
            return self.from_vector(self._tree.sample(rng))
        if not self._weighted:
            return self.from_vector((rng.random(len(self._sizes)) * self._sizes).astype(np.int64).tolist())
        uniform = rng.random(len(self._choices))
        indices = [
            int(u * size) if cumulative is None else min(int(np.searchsorted(cumulative, u, side="right")), size - 1)
            for u, size, cumulative in zip(uniform, self._sizes.tolist(), self._cumulative, strict=True)
        ]
        return self.from_vector(indices)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes one active choice, picked uniformly: to another option, picked uniformly, or to a number near by.

        Choices that become active by that are drawn from the prior.
        """
        if not self._flat:
            return self.from_vector(self._tree.mutate(self.vector(architecture), rng))
        if not self._free:
            return architecture
        indices = list(self.vector(architecture))
        position = self._free[int(rng.integers(len(self._free)))]
        shift = 1 + int(rng.integers(self._sizes[position] - 1))
        indices[position] = (indices[position] + shift) % int(self._sizes[position])
        return self.from_vector(indices)

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Uniform crossover: every choice from either parent with probability one half.

        A choice that is active in one parent only is taken from that one.
        """
        if not self._flat:
            return self.from_vector(self._tree.cross(self.vector(first), self.vector(second), rng))
        take = rng.random(len(self._choices)) < 0.5
        pairs = zip(self.vector(first), self.vector(second), take.tolist(), strict=True)
        return self.from_vector([a if from_first else b for a, b, from_first in pairs])

    def neighbours(self, architecture: Architecture) -> Sequence[Architecture]:
        """Every other network one active choice away: all other options, or the next numbers of a range.

        Choices that become active take their first option or the lower bound of their range.
        """
        found: dict[str, Architecture] = {}
        for genes in self._tree.neighbours(self.vector(architecture)):
            neighbour = self.from_vector(genes)
            if neighbour.key != architecture.key:
                found.setdefault(neighbour.key, neighbour)
        return list(found.values())

    # -- all of them ---------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Exact number of genotypes; with conditions, of combinations of active choices.

        Raises:
            SpaceError: A choice is continuous, so that there are infinitely many.
        """
        self._need_finite()
        return self._tree.size() if self._tree.conditional else math.prod(size or 0 for size in self._tree.sizes)

    def __iter__(self) -> Iterator[Architecture]:
        self._need_finite()
        if not self._flat:
            yield from map(self.from_vector, self._tree.walk())
            return
        for genotype in itertools.product(*self._options):
            yield self._make(genotype)

    def _need_finite(self) -> None:
        if self._continuous:
            raise SpaceError(
                f"choice {self._continuous[0]!r} is continuous, so the space holds infinitely many architectures",
                where=f"space {self.name!r}",
                fix="give its range a step, or list its values",
            )

    def vector(self, architecture: Architecture) -> tuple[float, ...]:
        """Index of the chosen option for every choice, or the number of a continuous one.

        Inactive choices have the index 0, or the lower bound of a continuous range.
        """
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        if self._flat:
            return tuple([index[value] for index, value in zip(self._index, genotype, strict=True)])
        return self._tree.canonical(self._read(genotype))

    def from_vector(self, indices: Sequence[float]) -> Architecture:
        """The architecture with these option indices and numbers; entries of inactive choices are ignored.

        Raises:
            SpaceError: A number is outside its continuous range.
        """
        if self._flat:
            genotype = tuple([options[i] for options, i in zip(self._options, indices, strict=True)])
            if self._texts is None:
                return self._make(genotype)
            key = ",".join([texts[int(i)] for texts, i in zip(self._texts, indices, strict=True)])
            return Architecture(self.name, genotype, f"[{key}]")
        values = []
        for choice, gene, on in zip(self._choices, indices, self._tree.active(indices), strict=True):
            value = choice.value(gene) if on else None
            if on and choice.continuous and not choice.domain.contains(value):
                raise self._foreign(choice, gene)
            values.append(value)
        return self._make(tuple(values))

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Columns that say which architecture a row of a table is: one per choice, with the chosen options."""
        return tuple(choice.name for choice in self._choices)

    def codes(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
        """One integer per row of a table.

        Args:
            columns: The columns `table_columns`, shape (rows,) each; entries of inactive choices are ignored.

        Raises:
            SpaceError: A column holds a value that is not an option, or the space is too large to number.
        """
        return self._numbering.codes(columns)

    def code(self, architecture: Architecture) -> int:
        """The integer of an architecture, as in `codes`."""
        return self._numbering.code(self.vector(architecture))

    def from_code(self, code: int) -> Architecture:
        """The inverse of `code`."""
        return self.from_vector(self._numbering.genes(code))


def text_of(value: Scalar) -> str:
    """Returns a value as labels show it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
