"""Finding an architecture's row in tables of other groups, which name architectures by a number only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError, SpecError, TrialError
from nasplug.contract.protocols import HasTrainedPart, Tabulates
from nasplug.contract.records import Architecture
from nasplug_tables import nasbench201
from nasplug_tables.table import Table

Codes = npt.NDArray[np.int64]


def trained_part(space: Any, architecture: Architecture, wanted: str | None = None) -> tuple[Any, Architecture]:
    """The architecture that a point trains, and its space: what tables of trainings have rows for.

    Args:
        space: Space of the point.
        architecture: Point.
        wanted: Name of a space at which to stop.
    """
    while architecture.space != wanted and isinstance(space, HasTrainedPart):
        space, architecture = space.inner, space.trained_part(architecture)
    return space, architecture


class Index:
    """Rows by the integer that a space gives an architecture; see `nasplug.Tabulates`.

    Args:
        codes: One integer per row.
        where: Name of the table in messages.
    """

    def __init__(self, codes: Codes, where: str) -> None:
        self._order = np.argsort(codes, kind="stable")
        self._codes = codes[self._order]
        self._where = where
        self._keys: dict[str, int] | None = None

    def row(self, architecture: Architecture, space: Any) -> int:
        """The row of an architecture, or of another genotype that builds its network; the first one if several hold it.

        Raises:
            TrialError: The table does not have it.
        """
        code = space.code(architecture)
        index = int(self._codes.searchsorted(code))
        if index == len(self._codes) or self._codes[index] != code:
            row = self._by_key(space).get(architecture.key)
            if row is None:
                raise TrialError("data", f"the table has no row for {architecture.key}", where=self._where)
            return row
        return int(self._order[index])

    def _by_key(self, space: Any) -> Mapping[str, int]:
        """Rows by key, for architectures whose network the table holds under another genotype."""
        if self._keys is None:
            keys: dict[str, int] = {}
            for row, code in enumerate(self.codes().tolist()):
                keys.setdefault(space.from_code(code).key, row)
            self._keys = keys
        return self._keys

    def codes(self) -> Codes:
        """The integers in the order of the rows."""
        found = np.empty_like(self._codes)
        found[self._order] = self._codes
        return found

    def repeated(self) -> tuple[int, int] | None:
        """Two rows that hold one architecture, the earlier one first; None if all rows differ."""
        again = np.flatnonzero(np.diff(self._codes) == 0)
        return (int(self._order[again[0]]), int(self._order[again[0] + 1])) if len(again) else None


class RowFinder:
    """Rows of a table by architecture.

    A row says which architecture it is by the columns of the space, such as `ops`, or by the number in its column
    `index`. Numbers of NAS-Bench-201 are known; those of any other space need the table that they count.

    Args:
        table: The table.
        numbered: Table whose rows the column `index` counts, for spaces other than NAS-Bench-201. Its own column
            `index` counts, if it has one.
    """

    def __init__(self, table: Table, numbered: Table | None = None) -> None:
        self.table, self.numbered = table, numbered
        self._known: dict[str, Index] = {}

    def row(self, architecture: Architecture, space: Any) -> int:
        """The row of an architecture.

        Raises:
            SpecError: The space has no tables, the table is of another space, or `numbered` is missing.
            DataError: The table lacks columns, or its numbers are out of range.
            TrialError: The table has no row for this architecture.
        """
        name = architecture.space
        if name not in self._known:
            self._known[name] = Index(self._codes(space, name), self.table.where)
        return self._known[name].row(architecture, space)

    def _codes(self, space: Any, name: str) -> Codes:
        where = self.table.where
        stated = self.table.info.get("space", name)
        if not isinstance(space, Tabulates):
            raise SpecError(f"architectures of space {name!r} are in no table", where=where, why="it is not Tabulates")
        if stated != name:
            raise SpecError(f"the table is one of space {stated!r}, not {name!r}", where=where)
        if all(column in self.table.columns for column in space.table_columns):
            found: Codes = space.codes(self.table.need(space.table_columns))
            return found
        if "index" not in self.table.columns:
            raise DataError(
                f"its rows do not say which architecture of {name} they are",
                where=where,
                why=f"it has neither the columns {', '.join(space.table_columns)} nor the column index",
            )
        codes = self._numbered_codes(space, name)
        index = self.table.column("index")
        if not np.issubdtype(index.dtype, np.integer) or index.min() < 0 or index.max() >= len(codes):
            raise DataError(f"the column index does not hold numbers from 0 to {len(codes) - 1}", where=where)
        return codes[index]

    def _numbered_codes(self, space: Any, name: str) -> Codes:
        """Codes of all architectures in the order of their numbers."""
        found: Codes
        if self.numbered is not None:
            found = space.codes(self.numbered.need(space.table_columns))
            if "index" in self.numbered.columns:
                numbers = self.numbered.column("index")
                if sorted(numbers.tolist()) != list(range(len(found))):
                    raise DataError("its column index does not count its rows", where=self.numbered.where)
                found = found[np.argsort(numbers)]
            return found
        if name == "nasbench201":
            found = space.codes({"ops": np.array(nasbench201.cells(), dtype="S")})
            return found
        raise SpecError(
            f"its column index counts the rows of another table of {name}",
            where=self.table.where,
            fix="name that table too, such as index=nasbench101.parquet",
        )
