"""One integer for every architecture of a space of listed choices, for tables of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.spaces.tree import ChoiceTree, Genes

if TYPE_CHECKING:
    from nasplug.contract.records import Scalar


class Numbering:
    """Mixed radix over the positions of the chosen options; inactive choices count as their first option.

    Args:
        tree: The choices, none of them continuous.
        name: Name of the space, for messages.
    """

    def __init__(self, tree: ChoiceTree, name: str) -> None:
        self._tree, self._name = tree, name
        self._sizes = [size or 0 for size in tree.sizes]

    def codes(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
        """One integer per row of a table.

        Args:
            columns: Chosen options, shape (rows,), by name of the choice; text may be encoded in UTF-8. Entries of
                inactive choices are ignored.

        Raises:
            SpaceError: A column holds a value that is not an option, or the space is too large to number.
        """
        if math.prod(self._sizes) >= 2**63:
            raise SpaceError("a space of 2**63 genotypes or more cannot be tabulated", where=f"space {self._name!r}")
        digits: list[npt.NDArray[np.int64]] = []
        active: list[npt.NDArray[np.bool_]] = []
        for choice, condition in zip(self._tree.choices, self._tree.conditions, strict=True):
            column = columns[choice.name]
            on = np.ones(len(column), dtype=np.bool_)
            for parent, allowed in condition:
                on &= active[parent] & np.isin(digits[parent], sorted(allowed))
            found = np.zeros(len(column), dtype=np.int64)
            found[on] = self._digits(choice, column[on], np.flatnonzero(on))
            digits.append(found)
            active.append(on)
        codes = np.zeros(len(digits[0]), dtype=np.int64)
        for size, column in zip(self._sizes, digits, strict=True):
            codes = codes * size + column
        return codes

    def _digits(
        self, choice: Choice, column: npt.NDArray[np.generic], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        distinct, inverse = np.unique(column, return_inverse=True)
        values = [_text(value) if isinstance(value, bytes) else value for value in distinct.tolist()]
        found = [_position(choice, value) for value in values]
        if None in found:
            value = values[found.index(None)]
            raise SpaceError(
                f"column {choice.name!r} holds {value!r}, which is not an option",
                where=f"table of {self._name}",
                why=f"in data row {int(rows[inverse == found.index(None)][0]) + 1}",
                fix=f"{did_you_mean(str(value), map(str, choice.options))}; or make it an option of the choice"
                if isinstance(choice.options, tuple)
                else f"the options are {choice.options}",
            )
        return np.array(found, dtype=np.int64)[inverse]

    def code(self, genes: Sequence[float]) -> int:
        """The integer of a canonical vector."""
        found = 0
        for digit, size in zip(genes, self._sizes, strict=True):
            found = found * size + int(digit)
        return found

    def genes(self, code: int) -> Genes:
        """The vector of an integer."""
        digits = []
        for size in reversed(self._sizes):
            code, digit = divmod(code, size)
            digits.append(digit)
        return tuple(digits[::-1])


def _text(value: bytes) -> str:
    """Columns of Parquet files hold text as bytes."""
    return value.decode("utf-8", "replace")


def _position(choice: Choice, value: Scalar) -> int | None:
    """Columns have one type, so that 1, 1.0 and True are not told apart here."""
    if isinstance(choice.options, tuple):
        return choice.options.index(value) if value in choice.options else None
    if isinstance(value, float) and value.is_integer() and not choice.options.contains(value):
        value = int(value)
    return choice.options.index(value) if choice.options.contains(value) else None
