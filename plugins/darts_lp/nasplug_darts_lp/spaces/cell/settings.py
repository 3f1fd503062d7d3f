"""The settings of the cell space: what networks, supernet, costs and workloads are made from, besides a genotype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.records import Scalar
from nasplug.spaces.cells import CELLS, OPERATIONS, Frame, frames
from nasplug_darts_lp.spaces.cell.edges import Edge, has_convolution
from nasplug_darts_lp.spaces.checks import FixedPrecision, check_bits

_WHERE = "darts_lp.cell"


@dataclass(frozen=True, slots=True)
class CellSettings(FixedPrecision):
    """Arguments of `CellSpace`, checked.

    Attributes:
        channels, layers, nodes, operations, weight_bits, activation_bits: Arguments of `CellSpace`.
        first_last_bits: Bits of everything that is not a choice, unless the space is in floating point.
        activations, weights: Kinds of quantisers in built networks.

    Raises:
        SpecError: An argument out of range, or an unknown operation.
    """

    channels: int = 16
    layers: int = 8
    nodes: int = 4
    operations: tuple[str, ...] = OPERATIONS
    weight_bits: tuple[int, ...] = ()
    activation_bits: tuple[int, ...] = ()
    first_last_bits: int | None = 8
    activations: str = "double_st"
    weights: str = "uniform"

    def __post_init__(self) -> None:
        if self.channels < 1 or self.layers < 3 or self.nodes < 1:
            raise SpecError(
                f"channels={self.channels}, layers={self.layers} and nodes={self.nodes} make no network",
                where=_WHERE,
                fix="give 1 channel, 3 layers (a normal cell and two reductions) and 1 node, or more",
            )
        for name in self.operations:
            if name not in OPERATIONS:
                raise SpecError(f"unknown operation {name!r}", where=_WHERE, fix=did_you_mean(name, OPERATIONS))
        check_bits(self.weight_bits, self.activation_bits, self.first_last_bits, _WHERE)

    def frames(self) -> list[Frame]:
        """Returns the positions of all cells, in their order."""
        return frames(self.channels, self.layers, (self.nodes, self.nodes))

    def cell(self, genotype: Any, name: str) -> tuple[tuple[Edge, Edge], ...]:
        """Reads the two edges of every node off a genotype.

        Args:
            genotype: Genotype of an architecture of the space.
            name: Kind of the cell, `normal` or `reduction`.
        """
        width = 7 if self.weight_bits else 3
        start = CELLS.index(name) * self.nodes * width
        pairs = []
        for node in range(self.nodes):
            inputs, *rest = genotype[start + node * width : start + (node + 1) * width]
            first, second = (int(source) for source in inputs.split(","))
            half = len(rest) // 2
            pairs.append((_edge(first, rest[:half]), _edge(second, rest[half:])))
        return tuple(pairs)

    def genotype(self, cells: Mapping[str, Sequence[tuple[Edge, Edge]]]) -> tuple[Scalar, ...]:
        """Writes the genotype of both cells: the inverse of `cell`; bits without effect become the first option.

        Args:
            cells: Two edges of every node, by kind of cell.
        """
        genotype: list[Scalar] = []
        for name in CELLS:
            for first, second in cells[name]:
                genotype.append(f"{first.source},{second.source}")
                for edge in (first, second):
                    genotype.append(edge.operation)
                    if self.weight_bits:
                        genotype.append(edge.weight_bits or self.weight_bits[0])
                        genotype.append(edge.activation_bits or self.activation_bits[0])
        return tuple(genotype)


def _edge(source: int, parts: Sequence[Any]) -> Edge:
    operation = str(parts[0])
    bits = parts[1:] if len(parts) > 1 and has_convolution(operation) else (None, None)
    return Edge(source, operation, *bits)
