"""Genotypes of ENAS-S as plans of blocks, which networks and workloads are made from alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["mbconv", "resnet", "dense", "identity", "avgpool", "maxpool"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: What a block that keeps the size may be; one that halves it may be any.
NORMAL: tuple[Kind, ...] = ("mbconv", "resnet", "dense", "identity")
#: Blocks that have the width of their input.
INHERITING: frozenset[Kind] = frozenset(("identity", "avgpool", "maxpool"))
DENSE_WIDTH, GROWTH, BOTTLENECK = 24, 12, 4
STEM = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One block of a network.

    Attributes:
        kind: Kind of the block.
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: 2 where the image is halved.
    """

    kind: Kind
    inputs: int
    outputs: int
    stride: int


def strides(depth: int) -> list[int]:
    """Returns the stride of every block: three modules of `depth` blocks with a reduction after the first and second.

    Args:
        depth: Number of blocks of a module.
    """
    return [*[1] * depth, 2, *[1] * depth, 2, *[1] * depth]


def steps(kinds: Sequence[Kind], widths: Sequence[int], depth: int) -> Iterator[Step]:
    """Yields the blocks of a network.

    Args:
        kinds: Kind of every block.
        widths: Width gene of every block, which pooling, identity and dense blocks ignore.
        depth: Number of blocks of a module.
    """
    before = STEM
    for kind, width, stride in zip(kinds, widths, strides(depth), strict=True):
        outputs = before if kind in INHERITING else DENSE_WIDTH if kind == "dense" else width
        yield Step(kind, before, outputs, stride)
        before = outputs
