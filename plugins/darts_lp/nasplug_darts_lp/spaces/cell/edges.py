"""The terms of the cell space: kinds of cells, operations, and the edges that a genotype is made of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

CELLS = ("normal", "reduction")
#: Operations of DARTS. `none`, the eighth, is a candidate of supernets and never part of a network.
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
#: Number of inputs of a cell: the outputs of the last cell but one, and of the last.
INPUTS = 2


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
