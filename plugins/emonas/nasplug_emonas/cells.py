"""Cells of the micro space: what is read by whom, and one form for all cells that compute the same.

Source: Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition" (NASNet), CVPR 2018, with the
operations that Lu et al., "NSGA-Net", GECCO 2019, took from DARTS (Liu et al., ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from nasplug.spaces.cells import INPUTS
from nasplug.spaces.cells import OPERATIONS as DARTS_OPERATIONS

#: Operations in the order of their genes.
OPERATIONS = (*DARTS_OPERATIONS, "sep_conv_7x7", "conv_7x1_1x7")
BLOCKS = 5

#: An operation and what it reads: 0 and 1 are the inputs of the cell, 2 the first block, and so on.
Unit: TypeAlias = tuple[str, int]
#: The sum of two units.
Block: TypeAlias = tuple[Unit, Unit]
Cell: TypeAlias = tuple[Block, ...]


def unused(cell: Sequence[Block]) -> list[int]:
    """Blocks that no other block reads, numbered as in units; the output of the cell is their concatenation."""
    read = {source for block in cell for _, source in block}
    return [block for block in range(INPUTS, INPUTS + len(cell)) if block not in read]


@lru_cache(maxsize=1 << 16)
def canonical(cell: Cell) -> Cell:
    """The form of a cell that is the same however its blocks are ordered, and the two units in a block.

    Blocks are numbered so that every one reads earlier ones; of all such ways it is the first in the alphabet.
    """
    return min(_orders(dict(enumerate(cell, start=INPUTS)), {0: 0, 1: 1}, ()))


def _orders(left: dict[int, Block], names: dict[int, int], done: Cell) -> Iterator[Cell]:
    """All orders that take, at every position, a block that comes first in the alphabet."""
    if not left:
        yield done
        return
    ready = {
        block: _block((first[0], names[first[1]]), (second[0], names[second[1]]))
        for block, (first, second) in left.items()
        if first[1] in names and second[1] in names
    }
    smallest = min(ready.values())
    for block, named in ready.items():
        if named == smallest:
            rest = {other: units for other, units in left.items() if other != block}
            yield from _orders(rest, {**names, block: len(names)}, (*done, named))


def _block(first: Unit, second: Unit) -> Block:
    return (first, second) if first <= second else (second, first)
