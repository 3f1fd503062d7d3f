"""Genes of NSGA-II for any space of named choices: integers, one for each choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nasplug.contract.records import Architecture
from nasplug_emonas.evolution import Genes

if TYPE_CHECKING:
    import numpy as np

#: Bounds of the share of ones in a spread start.
DENSITIES = (0.05, 0.75)
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

    def spread(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """The architecture with its two-valued genes drawn anew, all with one probability of the second value.

        That probability is itself drawn from 0.05 to 0.75, so that sparse and dense networks are equally likely, where
        fair coins make nearly all of them half dense.

        Args:
            architecture: Architecture whose other genes stay.
            rng: Generator of all draws.
        """
        density = float(rng.uniform(*DENSITIES))
        drawn = rng.random(len(self.sizes)) < density
        genes = self.genes(architecture)
        both = zip(genes, self.sizes, drawn.tolist(), strict=True)
        return self.architecture(tuple(int(one) if size == 2 else gene for gene, size, one in both))

    def rounded(self, architecture: Architecture) -> Architecture:
        """The nearest architecture that genes can say."""
        return self.architecture(self.genes(architecture)) if self._numeric else architecture

    def canonical(self, genes: Genes) -> Genes:
        """The same genes, with 0 where a choice is not made."""
        return self.genes(self.architecture(genes)) if self._conditional else genes
