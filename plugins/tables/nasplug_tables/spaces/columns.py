"""A space made of the columns of a table: a benchmark that is published as one file, without code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.choice import Choice
from nasplug.contract.errors import DataError, SpaceError
from nasplug.contract.wording import plural
from nasplug.spaces.tabulated import TableSpace
from nasplug_tables.table import Column, Result, Table

#: A column with more values than this is hardly a choice.
MOST_OPTIONS = 1000


class ColumnSpace(TableSpace):
    """The choices that the columns of a table hold, with the values that occur in them as options.

    Numbers are options in their order, text in the order of the alphabet. Rows may be missing: trials of combinations
    that the table does not have fail, with that reason.

    Args:
        path: A Parquet file, or a `Table`.
        choices: Columns that say which architecture a row is; default: those that the table states as its `choices`,
            or all that hold no results.
        name: Name of the space; default: what the table states as its `space`, or `table_space`.

    Raises:
        DataError: The table is unreadable, or lacks a column.
        SpaceError: A column cannot be a choice.
    """

    def __init__(self, path: str | Path | Table, choices: Sequence[str] | None = None, name: str | None = None) -> None:
        table = path if isinstance(path, Table) else Table.read(path)
        stated = table.info.get("choices")
        chosen = list(choices) if choices else list(stated) if stated else structure(table)
        if not chosen:
            raise DataError(
                "no column says which architecture a row is",
                where=table.where,
                why=f"all of {', '.join(table.columns)} hold results",
                fix="name results METRIC_EPOCHS, such as val_acc_100, and choices otherwise",
            )
        super().__init__(
            name or str(table.info.get("space", "table_space")),
            [Choice(column, options(column, table.column(column))) for column in chosen],
        )

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with."""
        from nasplug_tables.examples import example

        return [{"path": example()}]


def structure(table: Table) -> list[str]:
    """Columns of a table that hold no results."""
    return [name for name in table.columns if Result.of(name) is None]


def options(name: str, column: Column) -> tuple[bool | int | float | str, ...]:
    """The different values of a column, as options of a choice.

    Args:
        name: Name of the column.
        column: Values, shape (rows,); text in UTF-8.

    Raises:
        SpaceError: Values are missing, or there are so many that it is not a choice.
    """
    if column.dtype.kind == "f" and np.isnan(column).any():
        raise SpaceError(f"column {name!r} has missing values", where="table space", fix="leave such rows out")
    values = np.unique(column)
    if len(values) > MOST_OPTIONS:
        raise SpaceError(
            f"column {name!r} holds {plural(len(values), 'different value')}",
            where="table space",
            why="it does not look like a choice",
            fix="name the choices: `choices: [width, op]`",
        )
    return tuple(value.decode("utf-8") if isinstance(value, bytes) else value for value in values.tolist())
