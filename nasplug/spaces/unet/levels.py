"""Levels of a U-Net as plain data. No torch."""

from __future__ import annotations

from dataclasses import dataclass

#: Factor on the channels inside an inverted block.
EXPANSION = 3


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a U-Net.

    Attributes:
        width: Number of channels.
        encoder: Kind of the blocks on the way down.
        decoder: Kind of the block on the way up; unused at the deepest level.
        repeats: Number of blocks on the way down.
        kernel: Side of the windows along each axis.
        stride: Reduction of each axis towards the next level; unused at the deepest one.
        skip: Kind of the join with the way up: `concat`, `add` or `gate`; unused at the deepest level.
    """

    width: int
    encoder: str
    decoder: str
    repeats: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    skip: str
