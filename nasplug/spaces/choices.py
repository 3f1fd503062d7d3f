"""Base class for spaces made of a fixed number of named choices: every capability for free."""

from __future__ import annotations

import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture, Genotype, freeze

if TYPE_CHECKING:
    from nasplug.contract.protocols import Task


_encode = json.JSONEncoder(separators=(",", ":")).encode


class ChoiceSpace(ABC):
    """A product of named choices; the genotype is the tuple of chosen options.

    Subclasses give `choices` and :meth:`build`, and override :meth:`canonical` where different genotypes build the
    same network. In return they have all of sample, mutate, cross, enumerate and the vector form.

    Args:
        name: The slug of the space.
        choices: The decisions. A single option is allowed (a constant).

    Raises:
        SpaceError: No options, two choices of one name, repeated options, or weights that are no distribution.
    """

    def __init__(self, name: str, choices: Sequence[Choice]) -> None:
        self.name = name
        self._choices = tuple(choices)
        self._cumulative: list[Any] = []
        self._index: list[dict[Any, int]] = []
        names = [choice.name for choice in self._choices]
        if len(set(names)) != len(names):
            raise SpaceError("two choices have one name", where=f"space {name!r}")
        for choice in self._choices:
            if not choice.options or len(set(choice.options)) != len(choice.options):
                raise SpaceError(f"choice {choice.name!r} needs distinct options", where=f"space {name!r}")
            self._index.append({option: position for position, option in enumerate(choice.options)})
            if choice.weights is None:
                self._cumulative.append(None)
                continue
            weights = np.asarray(choice.weights, dtype=np.float64)
            if weights.shape != (len(choice.options),) or (weights < 0).any() or abs(weights.sum() - 1) > 1e-9:
                raise SpaceError(
                    f"weights of choice {choice.name!r} are no probabilities of its {len(choice.options)} options",
                    where=f"space {name!r}",
                )
            self._cumulative.append(np.cumsum(weights / weights.sum()))
        self._sizes = np.array([len(choice.options) for choice in self._choices], dtype=np.int64)
        self._free = [position for position, size in enumerate(self._sizes) if size > 1]
        self._options = tuple(choice.options for choice in self._choices)
        self._weighted = any(cumulative is not None for cumulative in self._cumulative)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions, in the order of the genotype."""
        return self._choices

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """A form that is equal for genotypes that build the same network; the genotype itself by default."""
        return genotype

    @abstractmethod
    def build(self, architecture: Architecture, task: Task) -> Any:
        """Builds the untrained network."""

    def architecture(self, genotype: Any) -> Architecture:
        """Checks a genotype and gives it its canonical key.

        Raises:
            SpaceError: Wrong length, or a value that is not among the options.
        """
        try:
            frozen = freeze(genotype)
        except TypeError as error:
            raise SpaceError(f"{genotype!r} is no genotype", where=f"space {self.name!r}", why=str(error)) from error
        if not isinstance(frozen, tuple) or len(frozen) != len(self._choices):
            raise SpaceError(
                f"a genotype has {len(self._choices)} entries, not {genotype!r}", where=f"space {self.name!r}"
            )
        for value, choice, index in zip(frozen, self._choices, self._index, strict=True):
            # 1, 1.0 and True are equal in Python and differ in JSON: only the option itself is one.
            if value not in index or type(value) is not type(choice.options[index[value]]):
                raise SpaceError(
                    f"{value!r} is no option of {choice.name!r}",
                    where=f"space {self.name!r}",
                    fix=did_you_mean(str(value), map(str, choice.options)),
                )
        return self._make(frozen)

    def _make(self, genotype: tuple[Genotype, ...]) -> Architecture:
        return Architecture(self.name, genotype, _encode(self.canonical(genotype)))

    def validate(self, architecture: Architecture) -> None:
        """Checks name, genotype and key.

        Raises:
            SpaceError: The architecture is not of this space.
        """
        if architecture.space != self.name:
            raise SpaceError(f"an architecture of space {architecture.space!r} was given", where=f"space {self.name!r}")
        if self.architecture(architecture.genotype).key != architecture.key:
            raise SpaceError(
                "the key does not belong to the genotype",
                where=f"space {self.name!r}",
                fix="make architectures with space.architecture(genotype)",
            )

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws every choice independently from its weights."""
        if not self._weighted:
            return self.from_vector((rng.random(len(self._sizes)) * self._sizes).astype(np.int64).tolist())
        uniform = rng.random(len(self._choices))
        indices = [
            int(u * size) if cumulative is None else min(int(np.searchsorted(cumulative, u, side="right")), size - 1)
            for u, size, cumulative in zip(uniform, self._sizes.tolist(), self._cumulative, strict=True)
        ]
        return self.from_vector(indices)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes one choice, picked uniformly, to another option, picked uniformly."""
        if not self._free:
            return architecture
        indices = list(self.vector(architecture))
        position = self._free[int(rng.integers(len(self._free)))]
        shift = 1 + int(rng.integers(self._sizes[position] - 1))
        indices[position] = (indices[position] + shift) % int(self._sizes[position])
        return self.from_vector(indices)

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Uniform crossover: every choice from either parent with probability one half."""
        take = rng.random(len(self._choices)) < 0.5
        pairs = zip(self.vector(first), self.vector(second), take.tolist(), strict=True)
        return self.from_vector([a if from_first else b for a, b, from_first in pairs])

    def size(self) -> int:
        """Number of genotypes."""
        return math.prod(self._sizes.tolist())

    def __iter__(self) -> Iterator[Architecture]:
        for genotype in itertools.product(*(choice.options for choice in self._choices)):
            yield self._make(genotype)

    def vector(self, architecture: Architecture) -> tuple[int, ...]:
        """Index of the chosen option for every choice."""
        genotype = architecture.genotype
        assert isinstance(genotype, tuple)
        return tuple([index[value] for index, value in zip(self._index, genotype, strict=True)])

    def from_vector(self, indices: Sequence[int]) -> Architecture:
        """The architecture with these option indices."""
        return self._make(tuple([options[i] for options, i in zip(self._options, indices, strict=True)]))

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Columns that say which architecture a row of a table is: one per choice, with the chosen options."""
        return tuple(choice.name for choice in self._choices)

    def codes(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """One integer per row of a table.

        Args:
            columns: The columns :attr:`table_columns`.

        Raises:
            SpaceError: A column holds what is no option, or the space is too large to number.
        """
        if self.size() >= 2**63:
            raise SpaceError("a space of 2**63 genotypes or more cannot be tabulated", where=f"space {self.name!r}")
        found = np.zeros(len(columns[self._choices[0].name]), dtype=np.int64)
        for choice, index in zip(self._choices, self._index, strict=True):
            values, inverse = np.unique(columns[choice.name], return_inverse=True)
            try:
                digits = np.array([index[value] for value in values.tolist()], dtype=np.int64)
            except KeyError as error:
                raise SpaceError(
                    f"column {choice.name!r} holds {error.args[0]!r}, which is no option",
                    where=f"table of {self.name}",
                    fix=did_you_mean(str(error.args[0]), map(str, choice.options)),
                ) from error
            found = found * len(choice.options) + digits[inverse]
        return found

    def code(self, architecture: Architecture) -> int:
        """The integer of an architecture, as in :meth:`codes`."""
        found = 0
        for digit, size in zip(self.vector(architecture), self._sizes.tolist(), strict=True):
            found = found * size + digit
        return found

    def from_code(self, code: int) -> Architecture:
        """The inverse of :meth:`code`."""
        digits = []
        for size in reversed(self._sizes.tolist()):
            code, digit = divmod(code, size)
            digits.append(digit)
        return self.from_vector(digits[::-1])
