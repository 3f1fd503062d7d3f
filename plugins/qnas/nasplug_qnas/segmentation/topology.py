"""The chain of cells of SegQNAS as plain data: repair, widths and skips. No torch.

A gene is a cell, a block and a kernel, written `vgg_d_5`: a VGG block with kernel 5 in a downscaling cell; `ide_n` is
the identity in a nonscaling cell.

Source: Baldo Carlos, Figueiredo, Hussain and Vellasco, SegQNAS, IJCNN 2023, and the code released with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nasplug.contract.errors import SpecError

Cell: TypeAlias = Literal["d", "n", "u"]
Block: TypeAlias = Literal["vgg", "res", "den", "inc", "ide"]

#: Largest number of downscaling cells above an upscaling one.
MAX_DEPTH = 4
#: Published kernels.
KERNELS = (3, 5, 7)
#: Cells of the search over blocks alone: the shape of a U-Net.
UNET_CELLS = "ndddduuuun"

_GENE = re.compile(r"(?P<block>vgg|res|den|inc|ide)_(?P<cell>[dnu])(?:_(?P<kernel>[1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Gene:
    """One node of the chain.

    Attributes:
        cell: `d` halves the resolution behind the block, `u` doubles it, `n` keeps it.
        block: Kind of block.
        kernel: Side of its windows; 0 for the identity.
    """

    cell: Cell
    block: Block
    kernel: int = 0

    @classmethod
    def parse(cls, name: str) -> Gene:
        """Reads a gene from its name.

        Raises:
            SpecError: The name has another form, or an even kernel.
        """
        match = _GENE.fullmatch(name)
        kernel = int((match and match["kernel"]) or 0)
        if match is None or (match["block"] == "ide") != (kernel == 0) or (kernel and kernel % 2 == 0):
            raise SpecError(
                f"{name!r} is not a gene of SegQNAS",
                where="SegQNAS",
                fix="write BLOCK_CELL_KERNEL such as vgg_d_3 (vgg, res, den, inc; d, n, u; an odd kernel), or ide_n",
            )
        cell: Cell = match["cell"]  # type: ignore[assignment]  # the pattern admits no other
        block: Block = match["block"]  # type: ignore[assignment]
        return cls(cell, block, kernel)

    def __str__(self) -> str:
        return f"{self.block}_{self.cell}" + (f"_{self.kernel}" if self.kernel else "")


@dataclass(frozen=True, slots=True)
class Layer:
    """One cell that is built.

    Attributes:
        gene: The gene, with its repaired cell.
        source: Layer whose output it takes; -1 is the stem.
        skip: Layer whose output is merged with that, or None.
        inputs: Channels of the source.
        skipped: Channels of the skip, 0 without one.
        width: Number of filters of the block.
        outputs: Channels of the output.
        level: Number of halvings of the output's resolution.
    """

    gene: Gene
    source: int
    skip: int | None
    inputs: int
    skipped: int
    width: int
    outputs: int
    level: int


def repair(cells: Sequence[Cell], max_depth: int = MAX_DEPTH) -> tuple[Cell, ...]:
    """Changes cells so that the chain ends with the resolution it begins with, and never goes too deep.

    From the front, with `left` layers to go and `depth` halvings so far: all layers that are left must go up where
    `left == depth`; where `left == depth + 1` a step down would be one too many; at depth 0 there is nothing to go up
    from; at the largest depth nothing goes down.

    Args:
        cells: Cells of the genotype.
        max_depth: Largest depth.
    """
    found: list[Cell] = []
    depth = 0
    for position, wanted in enumerate(cells):
        cell: Cell = wanted
        left = len(cells) - position
        if left == depth:
            cell = "u"
        if left == depth + 1 and cell == "d":
            cell = "n"
        if depth == 0 and cell == "u":
            cell = "n"
        if depth == max_depth and cell == "d":
            cell = "n"
        depth += {"d": 1, "n": 0, "u": -1}[cell]
        found.append(cell)
    return tuple(found)


def decode(genes: Sequence[Gene], stem: int = 16, max_depth: int = MAX_DEPTH) -> tuple[Layer, ...]:
    """Returns the layers that a genotype builds; nodes that do nothing are left out.

    A layer looks for a skip among the outputs of earlier layers, the stem excluded, by the cell of the layer before it:
    behind an upscaling cell it takes the latest output of the same shape as the current one; behind a nonscaling cell
    the output two layers back, if its shape is the same; behind a downscaling cell none.

    Args:
        genes: Genes of the genotype.
        stem: Channels of the stem.
        max_depth: Largest depth.
    """
    cells = repair([gene.cell for gene in genes], max_depth)
    layers: list[Layer] = []
    # For every node of the genotype: the layer whose output it is, and the shape of that (level, channels).
    outputs: list[int] = []
    shapes: list[tuple[int, int]] = []
    width, level, channels, source = stem, 0, stem, -1
    for position, (gene, cell) in enumerate(zip(genes, cells, strict=True)):
        skip = _skip(cells[position - 1] if position else "d", shapes)
        if cell == "d":
            width, level = width * 2, level + 1
        elif cell == "u":
            width, level = width // 2, level - 1
        if cell == "n" and gene.block == "ide" and skip is None:  # what goes in comes out
            outputs.append(source)
            shapes.append((level, channels))
            continue
        inputs, skipped = channels, 0 if skip is None else shapes[skip][1]
        before = width if skip is not None else inputs
        channels = width if cell != "n" else _block_outputs(gene.block, before, width)
        taken = None if skip is None else outputs[skip]
        layers.append(
            Layer(Gene(cell, gene.block, gene.kernel), source, taken, inputs, skipped, width, channels, level)
        )
        source = len(layers) - 1
        outputs.append(source)
        shapes.append((level, channels))
    return tuple(layers)


def _skip(before: Cell, shapes: Sequence[tuple[int, int]]) -> int | None:
    """Position of the output that is merged, among those of all nodes so far."""
    if len(shapes) < 2 or before == "d":
        return None
    current = shapes[-1]
    if before == "n":
        return len(shapes) - 2 if shapes[-2] == current else None
    return next((earlier for earlier in reversed(range(len(shapes) - 1)) if shapes[earlier] == current), None)


def _block_outputs(block: Block, inputs: int, width: int) -> int:
    return {"vgg": width, "res": width, "den": 2 * width + inputs, "inc": 4 * width, "ide": inputs}[block]
