"""Puts workloads together layer by layer: for spaces that know their layers, and for readers of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.workloads.workload import BITS, COMPUTE, DENSITIES, OPERATIONS, SHAPES, Workload

if TYPE_CHECKING:
    import numpy.typing as npt


#: An entry of a row: a size, a number of bits, a density, whether there is a bias, or an activation function.
Column: TypeAlias = float | str

#: The row that stands for the input of the network.
INPUT = -1
_ONE: dict[str, Column] = {**dict.fromkeys(SHAPES, 1), "ph": 0, "pw": 0}


#: Rows that an activation function can be part of.
_ACTIVATED = ("conv", "fc", "matmul", "add", "mul", "scale", "norm", "avgpool", "maxpool")


class WorkloadBuilder:
    """Collects rows; every method returns the row of the layer it adds, to be named as a source later.

    Args:
        input_shape: Shape of one input without the batch: (C, H, W), or (features,); of the first, if there are
            several.
        bits: Precision of all operands.
    """

    def __init__(self, input_shape: Sequence[int], bits: int = 8) -> None:
        channels, height, width = (*input_shape, 1, 1, 1)[:3]
        self._input = (1, channels, height, width)
        self._bits = bits
        self._rows: list[dict[str, Any]] = []

    def shape(self, row: int) -> tuple[int, int, int, int]:
        """What a row writes: (n, channels, height, width)."""
        if row == INPUT:
            return self._input
        found = self._rows[row]
        return found["n"], found["co"], found["ho"], found["wo"]

    def row(self, operation: str, sources: Sequence[int], name: str = "", **columns: Column) -> int:
        """Adds a row of any kind.

        Args:
            operation: One of `OPERATIONS`.
            sources: Rows it reads.
            name: Name of the layer.
            **columns: Whatever differs: shapes default to those of the first source, passed on unchanged.

        Raises:
            SpaceError: Unknown operation or column.
        """
        if operation not in OPERATIONS:
            raise SpaceError(f"there is no operation {operation!r}", fix=did_you_mean(operation, OPERATIONS))
        n, c, h, w = self.shape(sources[0]) if sources else self._input
        found: dict[str, Any] = _ONE | {"n": n, "ci": c, "hi": h, "wi": w, "co": c, "ho": h, "wo": w}
        found |= dict.fromkeys(BITS, self._bits) | dict.fromkeys(DENSITIES, 1.0)
        found |= {"bias": False, "post": "", "stored": True}
        unknown = set(columns) - set(found)
        if unknown:
            raise SpaceError(f"a row has no column {sorted(unknown)[0]!r}", fix=did_you_mean(min(unknown), found))
        self._rows.append(
            found | columns | {"names": name or operation, "operation": operation, "sources": tuple(sources)}
        )
        return len(self._rows) - 1

    def conv(
        self,
        source: int,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        *,
        padding: int | tuple[int, int] | None = None,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        post: str = "",
        name: str = "",
        **columns: Column,
    ) -> int:
        """A convolution with whatever is folded into it. `padding=None` keeps the size at stride 1."""
        _, _, h, w = self.shape(source)
        (kh, kw), (sh, sw), (dh, dw) = _pair(kernel), _pair(stride), _pair(dilation)
        ph, pw = ((kh - 1) * dh // 2, (kw - 1) * dw // 2) if padding is None else _pair(padding)
        ho, wo = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
        shapes = {"kh": kh, "kw": kw, "sh": sh, "sw": sw, "dh": dh, "dw": dw, "ph": ph, "pw": pw}
        out = {"co": channels, "ho": ho, "wo": wo, "groups": groups}
        return self.row("conv", [source], name, **{**shapes, **out, "bias": bias, "post": post, **columns})

    def pool(
        self,
        kind: str,
        source: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        *,
        padding: int | tuple[int, int] = 0,
        ceil: bool = False,
        name: str = "",
        **columns: Column,
    ) -> int:
        """`maxpool` or `avgpool`. Without `stride` the windows do not overlap."""
        _, _, h, w = self.shape(source)
        (kh, kw), (ph, pw) = _pair(kernel), _pair(padding)
        sh, sw = (kh, kw) if stride is None else _pair(stride)
        ho, wo = _pooled(h, kh, sh, ph, ceil), _pooled(w, kw, sw, pw, ceil)
        shapes = {"kh": kh, "kw": kw, "sh": sh, "sw": sw, "ph": ph, "pw": pw, "ho": ho, "wo": wo}
        return self.row(kind, [source], name, **(shapes | columns))

    def global_pool(self, source: int, name: str = "") -> int:
        """The mean over height and width."""
        _, _, h, w = self.shape(source)
        return self.row("avgpool", [source], name, kh=h, kw=w, ho=1, wo=1)

    def fc(self, source: int, features: int, *, bias: bool = True, post: str = "", name: str = "") -> int:
        """A linear layer on all elements of each input."""
        n, c, h, w = self.shape(source)
        flat = {"ci": c * h * w, "hi": 1, "wi": 1, "ho": 1, "wo": 1}
        return self.row("fc", [source], name, n=n, co=features, bias=bias, post=post, **flat)

    def add(self, sources: Sequence[int], *, post: str = "", name: str = "") -> int:
        """The sum of several rows of one shape: a chain of additions of two. One source is returned as it is."""
        total = sources[0]
        for source in sources[1:]:
            total = self.row("add", [total, source], name)
        if post and len(sources) > 1:
            self._rows[total]["post"] = post
        return total

    def concat(self, sources: Sequence[int], name: str = "") -> int:
        """The sources' channels one after the other. One source is returned as it is."""
        if len(sources) == 1:
            return sources[0]
        return self.row("concat", sources, name, co=sum(self.shape(source)[1] for source in sources))

    def activate(self, source: int, function: str, name: str = "", **columns: Column) -> int:
        """An activation function, such as `relu`: part of the row right before it, else a row `lut`."""
        if self._open(source, _ACTIVATED):
            self._rows[source]["post"] = function
            return source
        return self.row("lut", [source], name, **{**columns, "post": function})

    def normalise(self, source: int, name: str = "", **columns: Column) -> int:
        """Batch normalisation in inference: part of the convolution right before it, else a row `scale`."""
        return self._affine(source, ("conv", "fc"), name, columns)

    def affine(self, source: int, name: str = "", **columns: Column) -> int:
        """A constant added or multiplied: part of the products right before it, else a row `scale`."""
        return self._affine(source, ("conv", "fc", "matmul", "scale", "norm"), name, columns)

    def _affine(self, source: int, takers: tuple[str, ...], name: str, columns: Mapping[str, Column]) -> int:
        if self._open(source, takers):
            self._rows[source]["bias"] = True
            return source
        return self.row("scale", [source], name, **{**columns, "bias": True})

    def _open(self, row: int, kinds: tuple[str, ...]) -> bool:
        """Whether a row can still take something in: the last one made, without an activation function."""
        if row != len(self._rows) - 1 or row == INPUT:
            return False
        return self._rows[row]["operation"] in kinds and not self._rows[row]["post"]

    def __len__(self) -> int:
        return len(self._rows)

    def macs(self, first: int = 0) -> int:
        """Multiply-accumulates of the rows from `first` on."""
        names = ("n", "ho", "wo", "co", "kh", "kw")
        return sum(
            math.prod(int(row[name]) for name in names) * (int(row["ci"]) // int(row["groups"]))
            for row in self._rows[first:]
            if row["operation"] in COMPUTE
        )

    def build(self) -> Workload:
        """The workload."""

        def integers(name: str) -> npt.NDArray[np.int64]:
            return np.array([row[name] for row in self._rows], dtype=np.int64)

        columns: dict[str, Any] = {name: integers(name) for name in (*SHAPES, *BITS)}
        columns |= {name: np.array([row[name] for row in self._rows], dtype=np.float64) for name in DENSITIES}
        return Workload(
            names=tuple(row["names"] for row in self._rows),
            operation=np.array([OPERATIONS.index(row["operation"]) for row in self._rows], dtype=np.int64),
            bias=np.array([row["bias"] for row in self._rows], dtype=bool),
            stored=np.array([row["stored"] for row in self._rows], dtype=bool),
            post=tuple(row["post"] for row in self._rows),
            sources=tuple(row["sources"] for row in self._rows),
            **columns,
        )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _pooled(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    rest = size + 2 * padding - kernel
    out = -(-rest // stride) + 1 if ceil else rest // stride + 1
    if ceil and (out - 1) * stride >= size + padding:  # a window must start inside the input
        out -= 1
    return out
