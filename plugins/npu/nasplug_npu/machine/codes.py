"""What the post-process unit needs to turn sums into codes: comparisons, or a line in whole numbers with exceptions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.parameters import RECORD

Floats = npt.NDArray[np.float64]
#: Most exceptions of a line.
EXCEPTIONS = 4
#: Bits of a slope beside its sign, and of the shift.
_SLOPE, _SHIFT = 30, 63


@dataclass(frozen=True)
class Steps:
    """Levels by comparisons: how many thresholds a sum reaches.

    Attributes:
        thresholds: Thresholds (C, T) of 32 bits, T up to 15.
    """

    thresholds: Ints

    @property
    def words(self) -> int:
        """Words of a record."""
        return int(self.thresholds.shape[1])

    def levels(self, sums: Ints) -> Ints:
        """Levels of sums (C, ...)."""
        wide = self.thresholds.reshape(*self.thresholds.shape, *[1] * (sums.ndim - 1))
        return np.asarray((sums[:, None] >= wide).sum(axis=1), dtype=np.int64)

    def records(self) -> Ints:
        """Words of each channel (C, T)."""
        if self.thresholds.shape[1] > RECORD:
            raise SpecError(
                f"{self.thresholds.shape[1]} thresholds that do not lie on a line",
                where="npu machine",
                why=f"a lane compares a sum with {RECORD} thresholds",
                fix="quantise with 4 bits or fewer, or with evenly spaced levels",
            )
        return self.thresholds


@dataclass(frozen=True)
class Line:
    """Levels by a line: `floor((sum * slope + offset) / 2^shift)` between two ends, plus a step at exceptions.

    Attributes:
        slope, offset, shift: Numbers of the line (C,).
        low, high: Ends (C,).
        at, step: Sums that are exceptions, and what the line lacks there (C, E).
    """

    slope: Ints
    offset: Ints
    shift: Ints
    low: Ints
    high: Ints
    at: Ints
    step: Ints

    @property
    def words(self) -> int:
        """Words of a record."""
        return 4 + int(self.at.shape[1])

    def levels(self, sums: Ints) -> Ints:
        """Levels of sums (C, ...)."""
        ones = [1] * (sums.ndim - 1)

        def wide(values: Ints) -> Ints:
            return values.reshape(-1, *ones)

        line = (sums * wide(self.slope) + wide(self.offset)) >> wide(self.shift)
        found = np.clip(line, wide(self.low), wide(self.high))
        for at, step in zip(self.at.T, self.step.T, strict=True):
            found = found + (sums == wide(at)) * wide(step)
        return found

    def records(self) -> Ints:
        """Words of each channel (C, 4 + E): slope, offset (low, high), ends with shift, exceptions."""
        ends = self.low | self.high << 8 | self.shift << 16
        exceptions = (self.at & (1 << 28) - 1) | (self.step & 15) << 28
        parts = [self.slope, self.offset & 0xFFFFFFFF, self.offset >> 32, ends]
        return np.concatenate([np.stack(parts, axis=1), exceptions], axis=1)


def line_in_whole_numbers(
    slope: Floats, offset: Floats, low: Ints, high: Ints, at: Ints, step: Ints, bound: int
) -> Line:
    """The line whose levels are those of `floor(sum * slope + offset)` in double precision, for all sums.

    Both are monotone, so that they agree everywhere if they agree around the sums where the level changes. Next to
    these, sums where they do not become exceptions.

    Args:
        slope: Slope of each channel (C,).
        offset: Offset of each channel (C,).
        low: Fewest levels of each channel (C,).
        high: Most levels of each channel (C,).
        at: Sums of each channel that are exceptions (C, E).
        step: Levels that the line lacks there (C, E).
        bound: Largest magnitude of a sum.

    Raises:
        SpecError: Sums are too large for the lanes, or no such line is exact.
    """
    if bound >= 1 << 27:
        raise SpecError(f"sums up to {bound}", where="npu machine", why="its exceptions have 28 bits", fix="fewer bits")
    magnitude = np.maximum(np.abs(slope), np.abs(offset) / (1 << 31))
    exponent = np.ceil(np.log2(np.maximum(magnitude, 2.0**-40)))
    shift = np.clip(_SLOPE - exponent, 0, 61).astype(np.int64)
    scale = np.exp2(shift.astype(np.float64))
    whole = np.rint(slope * scale).astype(np.int64), np.rint(offset * scale).astype(np.int64), shift
    edges = _edges(slope, offset, low, high, bound)
    sums = np.concatenate([edges.reshape(len(slope), -1), at], axis=1)
    wanted = np.clip(np.floor(sums * slope[:, None] + offset[:, None]), low[:, None], high[:, None]).astype(np.int64)
    for number in range(at.shape[1]):
        wanted += (sums == at[:, number, None]) * step[:, number, None]
    lacks = wanted - Line(*whole, low, high, at[:, :0], step[:, :0]).levels(sums)
    outer = np.abs(lacks[:, : edges.size // len(slope)].reshape(edges.shape)[:, :, [0, -1]]).max()
    found = [_exceptions(mine, missing) for mine, missing in zip(sums, lacks, strict=True)]
    most = max(len(pairs) for pairs in found)
    if outer or most > EXCEPTIONS:
        raise SpecError(
            f"a line in whole numbers has {most} exceptions in one channel",
            where="npu machine",
            why=f"a record has {EXCEPTIONS}, next to a threshold each",
            fix="use fewer bits",
        )
    pairs = np.array([mine + [(0, 0)] * (most - len(mine)) for mine in found], dtype=np.int64).reshape(
        len(found), most, 2
    )
    return Line(*whole, low, high, pairs[:, :, 0], pairs[:, :, 1])


def _exceptions(sums: Ints, lacks: Ints) -> list[tuple[int, int]]:
    """Sums where a line is wrong, each once, with what it lacks."""
    return sorted({(int(at), int(missing)) for at, missing in zip(sums, lacks, strict=True) if missing})


def _edges(slope: Floats, offset: Floats, low: Ints, high: Ints, bound: int) -> Ints:
    """Sums around which the level changes, seven for each level, and the largest ones, (C, N, 7)."""
    most = int(max((high - low).max(), 1))
    levels = low[:, None] + np.arange(1, most + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.nan_to_num((levels - offset[:, None]) / slope[:, None], nan=0.0, posinf=0.0, neginf=0.0)
    near = np.clip(np.rint(middle), -bound, bound).astype(np.int64)
    around = near[:, :, None] + np.arange(-3, 4)
    ends = np.broadcast_to(np.array([[[-bound] * 7, [bound] * 7]]), (len(slope), 2, 7))
    return np.clip(np.concatenate([around, ends], axis=1), -bound, bound)
