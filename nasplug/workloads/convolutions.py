"""Convolutions of one to three dimensions, forward and transposed, as rows of two: shared by all readers of models.

A row has height and width. One dimension is the width. Of three, depth joins height: a map of D x H x W is D * H rows,
a kernel of d x h x w has d * h of them, so that products, weights and maps are those of the layer.
A transposed convolution is what it computes: a product at every *input* position that makes all taps of all output
channels, and, where windows overlap, a row `add` that sums them into the output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Shape: TypeAlias = Sequence[int]
Columns: TypeAlias = dict[str, int]

#: Columns of what a row reads, and of what it writes: channels, height, width.
READ, WRITTEN = ("ci", "hi", "wi"), ("co", "ho", "wo")


def maps(shape: Shape, names: tuple[str, str, str]) -> Columns:
    """A feature map (N, C, ...) of one to three dimensions as columns.

    Args:
        shape: Shape with batch and channels first.
        names: Columns for channels, height and width, such as `("ci", "hi", "wi")`.
    """
    channels, height, width = names
    size = list(shape[2:])
    return {"n": int(shape[0]), channels: int(shape[1]), height: math.prod(size[:-1]), width: int(size[-1])}


def image(shape: Shape, names: tuple[str, str, str]) -> Columns:
    """Any tensor as columns: a feature map, tokens (N, T, C) with T as the height, vectors, or what has no such form.

    Args:
        shape: Shape with the batch first.
        names: Columns for channels, height and width, such as `("ci", "hi", "wi")`.
    """
    if len(shape) in (4, 5):
        return maps(shape, names)
    rows = int(shape[1]) if len(shape) == 3 else 1
    n, c = (int(shape[0]), int(shape[-1])) if len(shape) in (2, 3) else (1, max(1, math.prod(shape)))
    return {"n": n, names[0]: c, names[1]: rows, names[2]: 1}


def forward(
    size: Shape,
    weight: Shape,
    out: Shape,
    *,
    stride: Shape = (1,),
    padding: Shape = (0,),
    dilation: Shape = (1,),
    groups: int = 1,
) -> Columns:
    """Columns of a convolution.

    Args:
        size: Shape of the input, (N, C, ...).
        weight: Shape of the weight, (channels out, channels in per group, ...).
        out: Shape of the output, (N, channels out, ...).
        stride: Stride, one number per dimension, or one for all.
        padding: Padding before, likewise.
        dilation: Dilation, likewise.
        groups: Number of groups.
    """
    columns = pool(size, weight[2:], out, stride=stride, padding=padding, dilation=dilation)
    return columns | {"groups": int(groups)}


def pool(
    size: Shape,
    kernel: Shape,
    out: Shape,
    *,
    stride: Shape = (1,),
    padding: Shape = (0,),
    dilation: Shape = (1,),
) -> Columns:
    """Columns of windows that slide over a map, as those of pooling do.

    Args:
        size: Shape of the input, (N, C, ...).
        kernel: Size of a window, one number per dimension, or one for all.
        out: Shape of the output, (N, C, ...).
        stride: Stride, likewise.
        padding: Padding before, likewise.
        dilation: Dilation, likewise.
    """
    dimensions = len(size) - 2
    window = [int(each) for each in kernel]
    window = window * dimensions if len(window) == 1 else window
    columns = maps(size, READ) | maps(out, WRITTEN) | {"kh": math.prod(window[:-1]), "kw": window[-1]}
    for name, value, without in (("s", stride, 1), ("p", padding, 0), ("d", dilation, 1)):
        columns[f"{name}h"], columns[f"{name}w"] = _plane(value, dimensions, without)
    return columns


def transposed(size: Shape, weight: Shape, out: Shape, groups: int = 1) -> tuple[Columns, Columns | None]:
    """Columns of the product of a transposed convolution, and of the sum of its overlapping windows.

    Args:
        size: Shape of the input, (N, C, ...).
        weight: Shape of the weight, (channels in, channels out per group, ...).
        out: Shape of the output, (N, channels out, ...).
        groups: Number of groups.

    Returns:
        Columns of a row `conv`, and of a row `add`; None where every product is an output by itself.
    """
    taps = math.prod(weight[2:])
    columns = maps(size, READ)
    columns |= {"co": int(out[1]) * taps, "ho": columns["hi"], "wo": columns["wi"], "groups": int(groups)}
    if math.prod(size[2:]) * taps == math.prod(out[2:]):
        return columns, None
    image = maps(out, WRITTEN)
    spread = {"ci": int(out[1]), "hi": columns["hi"] * math.prod(weight[2:-1]), "wi": columns["wi"] * int(weight[-1])}
    return columns, image | spread


def _plane(value: Shape, dimensions: int, without: int) -> tuple[int, int]:
    """The last two of one number per dimension."""
    values = [int(each) for each in value]
    values = values * dimensions if len(values) == 1 else values
    return (without if dimensions == 1 else values[-2]), values[-1]
