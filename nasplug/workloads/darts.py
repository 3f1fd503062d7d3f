"""The rows of DARTS's operations, for workloads that a space writes down itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasplug.workloads.builder import WorkloadBuilder


def factorized_reduce(builder: WorkloadBuilder, x: int, outputs: int, **precision: Any) -> int:
    """Adds the rows of a `nasplug.nn.darts.FactorizedReduce`; returns the last one.

    Args:
        builder: Workload that is being written.
        x: Row that gives the input.
        outputs: Number of output channels.
        **precision: Bits of both convolutions.
    """
    x = builder.activate(x, "relu")
    half = outputs // 2
    parts = [builder.conv(x, outputs - half, 1, 2, bias=False, **precision)]
    if half:
        _, _, height, width = builder.shape(x)
        # The image is moved by a pixel: of even sizes one row and column less is read, odd ones are filled up first.
        hi, wi = height + height % 2 - 1, width + width % 2 - 1
        parts.append(builder.conv(x, half, 1, 2, bias=False, hi=hi, wi=wi, ho=-(-hi // 2), wo=-(-wi // 2), **precision))
    return builder.normalise(concat(builder, parts))


def concat(builder: WorkloadBuilder, sources: Sequence[int]) -> int:
    """Adds a concatenation along the channels, also of one map; returns its row.

    Args:
        builder: Workload that is being written.
        sources: Rows that are concatenated.
    """
    return builder.row("concat", sources, co=sum(builder.shape(source)[1] for source in sources))
