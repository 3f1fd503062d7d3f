"""The edges that a genotype of the cell space is made of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from nasplug.spaces.cells import INPUTS


@dataclass(frozen=True, slots=True)
class Edge:
    """One of the two terms that a node adds up.

    Attributes:
        source: Index of the node it comes from: 0 and 1 are the inputs of the cell, 2 its first node, and so on.
        operation: Name of the operation.
        weight_bits, activation_bits: Bits of its convolutions; None in floating point and without a convolution.
    """

    source: int
    operation: str
    weight_bits: int | None = None
    activation_bits: int | None = None


def has_convolution(operation: str) -> bool:
    """Whether an operation computes with bits of its own."""
    return "conv" in operation


def node_inputs(node: int) -> tuple[tuple[int, int], ...]:
    """Returns the pairs of different sources that a node may have.

    Args:
        node: Index of the node, from 0.
    """
    return tuple(itertools.combinations(range(node + INPUTS), 2))
