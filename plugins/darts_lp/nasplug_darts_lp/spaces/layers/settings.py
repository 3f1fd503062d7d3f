"""The settings of the layer-wise space: what networks, supernet and workloads are made from, besides a genotype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Scalar
from nasplug_darts_lp.spaces.checks import FixedPrecision, check_bits, check_kernels
from nasplug_darts_lp.spaces.layers.layouts import BlockShape, Layout, block_shapes

#: Choices of a block, in the order of the genotype.
PARTS = ("op", "kernel", "weight_bits", "activation_bits")

_WHERE = "darts_lp.layers"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a network.

    Attributes:
        shape: Name, channels and stride.
        operation: Operation, `conv` or `skip`.
        kernel: Kernel size.
        weight_bits, activation_bits: Bits of the convolution; None in floating point.
    """

    shape: BlockShape
    operation: str
    kernel: int
    weight_bits: int | None
    activation_bits: int | None


@dataclass(frozen=True, slots=True)
class LayerSettings(FixedPrecision):
    """Arguments of `LayersSpace`, checked.

    Attributes:
        layout: Layout, with width and blocks applied.
        operations, kernels, weight_bits, activation_bits: Arguments of `LayersSpace`.
        first_last_bits: Bits of everything that is not a choice, unless the space is in floating point.
        activations, weights: Kinds of quantisers in built networks.

    Raises:
        SpecError: An argument out of range.
    """

    layout: Layout
    operations: tuple[str, ...] = ("conv", "skip")
    kernels: tuple[int, ...] = (3, 5)
    weight_bits: tuple[int, ...] = (1, 2, 4, 8)
    activation_bits: tuple[int, ...] = (1, 2, 4, 8)
    first_last_bits: int | None = 8
    activations: str = "double_st"
    weights: str = "uniform"

    def __post_init__(self) -> None:
        if self.operations not in (("conv",), ("conv", "skip"), ("skip", "conv")):
            raise SpecError(f"operations={list(self.operations)}", where=_WHERE, fix="write [conv] or [conv, skip]")
        check_kernels(self.kernels, _WHERE)
        check_bits(self.weight_bits, self.activation_bits, self.first_last_bits, _WHERE)

    @property
    def shapes(self) -> tuple[BlockShape, ...]:
        """Shapes of all blocks, in their order."""
        return block_shapes(self.layout)

    def operations_of(self, shape: BlockShape) -> tuple[str, ...]:
        """Returns the operations that a block chooses from; blocks that change the shape stay."""
        return self.operations if shape.keeps else ("conv",)

    def choices(self) -> list[Choice]:
        """Returns the choices of all blocks, in the order of the genotype."""
        choices = []
        for shape in self.shapes:
            options: list[tuple[Scalar, ...]] = [
                self.operations_of(shape),
                self.kernels,
                self.weight_bits or (None,),
                self.activation_bits or (None,),
            ]
            choices += [Choice(f"{shape.name}_{part}", values) for part, values in zip(PARTS, options, strict=True)]
        return choices

    def blocks(self, genotype: Any) -> list[Block]:
        """Reads the blocks off a genotype.

        Args:
            genotype: Genotype of an architecture of the space.
        """
        width = len(PARTS)
        return [Block(shape, *genotype[width * i : width * (i + 1)]) for i, shape in enumerate(self.shapes)]
