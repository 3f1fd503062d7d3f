"""Genes of NSGA-II for any space of named choices: integers, one for each choice."""

from __future__ import annotations

from typing import Any

from nasplug.contract.records import Architecture
from nasplug_emonas.evolution import Genes

#: Values that stand for a continuous range.
LEVELS = 101


class Positions:
    """Genes are positions of options; a continuous range is taken at 101 values that are even on its scale.

    Genes of choices whose condition does not hold are varied like all others, and 0 in the genes of an architecture.

    Args:
        space: A space with `HasVector`.

    Attributes:
        sizes: Number of values of every gene.
    """

    def __init__(self, space: Any) -> None:
        self._space = space
        self._choices = tuple(space.choices)
        self._numeric = any(choice.continuous for choice in self._choices)
        self._conditional = any(choice.when for choice in self._choices)
        self.sizes: list[int] = [LEVELS if choice.continuous else len(choice.options) for choice in self._choices]

    def genes(self, architecture: Architecture) -> Genes:
        """Genes of an architecture; of a continuous range those of the nearest value."""
        vector = tuple(self._space.vector(architecture))
        if not self._numeric:
            return vector
        return tuple(
            round(choice.domain.to_unit(entry) * (LEVELS - 1)) if choice.continuous else int(entry)
            for choice, entry in zip(self._choices, vector, strict=True)
        )

    def architecture(self, genes: Genes) -> Architecture:
        """The architecture of genes."""
        found: Architecture
        if not self._numeric:
            found = self._space.from_vector(genes)
        else:
            found = self._space.from_vector(
                [
                    choice.domain.from_unit(gene / (LEVELS - 1)) if choice.continuous else gene
                    for choice, gene in zip(self._choices, genes, strict=True)
                ]
            )
        return found

    def rounded(self, architecture: Architecture) -> Architecture:
        """The nearest architecture that genes can say."""
        return self.architecture(self.genes(architecture)) if self._numeric else architecture

    def canonical(self, genes: Genes) -> Genes:
        """The same genes, with 0 where a choice is not made."""
        return self.genes(self.architecture(genes)) if self._conditional else genes
