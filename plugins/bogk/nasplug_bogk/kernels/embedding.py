"""What a graph kernel is made of: an embedding of graphs, seen only through its inner products."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nasplug.spaces.graph import Graph

Array = npt.NDArray[np.float64]


class Embedding(ABC):
    """Maps graphs to vectors, possibly of infinite dimension, in several variants.

    Variants differ in one discrete parameter: rounds of relabelling, decay of a walk, layers of a network. All are
    answered at once, since they share nearly all the work; which one to use is a question for the marginal likelihood.

    Equal inputs give equal numbers, whatever was asked before: nothing here may depend on other graphs.

    Attributes:
        variants: The value of that parameter in every variant.
    """

    variants: tuple[float, ...]

    @abstractmethod
    def inner(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """Inner products of two lists of graphs.

        Args:
            a: Graphs of the rows.
            b: Graphs of the columns.
            wanted: Positions in `variants`, ascending.

        Returns:
            float64 (len(wanted), len(a), len(b)).
        """

    def roughly(self, a: Sequence[Graph], b: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """The same to about seven digits, where that is faster: enough to compare candidates, not to solve equations.

        Args:
            a: Graphs of the rows.
            b: Graphs of the columns.
            wanted: Positions in `variants`, ascending.
        """
        return self.inner(a, b, wanted)

    @abstractmethod
    def squared_norms(self, a: Sequence[Graph], wanted: Sequence[int]) -> Array:
        """Inner product of every graph with itself, float64 (len(wanted), len(a))."""
