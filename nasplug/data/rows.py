"""What happens to rows of a table, or to arrays, before a network gets them: a record that leaves with the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import JsonObject
from nasplug.data import columns as tables
from nasplug.data.archives import arrays_in
from nasplug.data.preprocessing import Preprocessing


class _Target(msgspec.Struct):
    mean: tuple[float, ...]
    std: tuple[float, ...]


class _Record(msgspec.Struct):
    kind: Literal["table", "array"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    columns: dict[str, list[str] | None] | None = None
    target: _Target | None = None


@dataclass(frozen=True)
class Rows:
    """The way from a table, or from an array, to the tensor that a network is called with.

    Columns become numbers: those of numbers as they are, those of texts one for each category. A number `x` of input
    `i`, or of channel `i` of an image, then becomes `(x / scale - mean[i]) / std[i]`.

    Attributes:
        columns: Categories by column, None for columns of numbers; None for arrays.
        scale: Number that becomes 1.
        mean: Mean per input or channel.
        std: Standard deviation per input or channel.
        target: Mean and standard deviation of the values that the network gives in units of the latter, if any.
    """

    columns: Mapping[str, Sequence[str] | None] | None
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    target: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    pixels = "float32"

    @classmethod
    def of(cls, plain: JsonObject) -> Self:
        """Reads what the `preprocessing` of a task says.

        Raises:
            DataError: It is something else.
        """
        try:
            found = msgspec.convert(plain, _Record)
            numbers = (
                found.scale,
                *found.mean,
                *found.std,
                *(found.target.mean + found.target.std if found.target else ()),
            )
            if not all(map(math.isfinite, numbers)) or found.scale <= 0:
                raise ValueError("a number is not finite, or the scale is not positive")
            if len(found.mean) != len(found.std) or (found.kind == "table") != (found.columns is not None):
                raise ValueError(f"mean, standard deviation or columns do not fit {found.kind!r}")
        except ValueError as error:
            raise DataError("cannot read the preprocessing", why=str(error), fix="export the network again") from error
        target = None if found.target is None else (found.target.mean, found.target.std)
        return cls(found.columns, found.scale, found.mean, found.std, target)

    @property
    def suffixes(self) -> frozenset[str]:
        """Endings of files that can be read."""
        return frozenset({".npz", ".npy"}) if self.columns is None else tables.SUFFIXES

    @property
    def span(self) -> tuple[float, float]:
        """Numbers that become 0 and 1 before mean and standard deviation."""
        return 0.0, self.scale

    def affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns factor and summand (F,) or (C,) each: a network gets `number * factor + summand`."""
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        return 1.0 / self.scale / std, -mean / std

    def read(self, path: Path) -> NDArray[np.float32]:
        """Returns the numbers (N, ...) of all samples of a file.

        Args:
            path: A table with the columns of the training data, in any order and beside others; or an .npz or .npy file
                of one array, in .npz files called `x` or alone.

        Raises:
            DataError: The file cannot be read, or does not hold what the network was trained on.
        """
        if path.suffix.lower() not in self.suffixes:
            raise DataError(
                f"the network takes {'arrays' if self.columns is None else 'tables'}",
                where=str(path),
                fix=f"give files that end in {', '.join(sorted(self.suffixes))}",
            )
        if self.columns is None:
            return tables.inputs(_array(path), path)
        given = tables.read_columns(path)
        parts = []
        for name, options in self.columns.items():
            values, found = tables.encoded(name, tables.column(given, name, path), path, options)
            if options is None and found is not None:
                raise DataError(f"column {name!r} holds texts, and the network takes numbers", where=str(path))
            parts.append(values)
        return np.concatenate(parts, axis=1)


def way_of(plain: JsonObject | None) -> Preprocessing | Rows | None:
    """Returns the way that the `preprocessing` of a task describes; None where it says nothing that is known here.

    Raises:
        DataError: What it says cannot be read.
    """
    kind = plain.get("kind") if isinstance(plain, Mapping) else None
    if plain is None or kind not in ("image", "table", "array"):
        return None
    return Preprocessing.of(plain) if kind == "image" else Rows.of(plain)


def _array(path: Path) -> NDArray[Any]:
    if path.suffix.lower() == ".npy":
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except Exception as error:  # a header is parsed as Python, and may promise any size
            raise DataError("cannot read the array", where=str(path), why=" ".join(str(error).split())[:200]) from error
    with arrays_in(path) as file:
        names = list(file.files)
        wanted = "x" if "x" in names else names[0] if len(names) == 1 else None
        if wanted is not None:
            return np.asarray(file[wanted])
    raise DataError(
        "it is not clear which array holds the samples",
        where=str(path),
        why=f"the file holds {', '.join(map(repr, sorted(names)))}",
        fix="call it `x`, or save it alone",
    )
