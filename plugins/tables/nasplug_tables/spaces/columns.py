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
#: Words in names of columns that hold results.
RESULTS = frozenset(
    {"acc", "accuracy", "auc", "dice", "err", "error", "f1", "iou", "loss", "mae", "map", "mse", "rmse"}
)
#: Numbers with a fraction, most of them different, are results in tables of more rows than this.
FEW = 8


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
    """Columns of a table that hold no results by their names.

    Args:
        table: The table.

    Raises:
        SpaceError: One of them looks like results all the same.
    """
    chosen = [name for name in table.columns if Result.of(name) is None]
    _refuse_results(table, chosen)
    return chosen


def _refuse_results(table: Table, chosen: Sequence[str]) -> None:
    """Refuses a column that looks like results of which the name lacks the epochs."""
    for name in chosen:
        column = table.column(name)
        fractions = column.dtype.kind == "f" and bool((column[~np.isnan(column)] % 1 != 0).any())
        measured = fractions and 2 * len(np.unique(column)) > len(table) > FEW
        named = column.dtype.kind in "fiu" and RESULTS & set(name.lower().split("_"))
        if measured or named:
            raise SpaceError(
                f"column {name!r} looks like results, and its name makes it a choice",
                where=table.where,
                why="names of results end with their epochs, and with the seed of one of several trainings",
                fix=f"call it {name}_EPOCHS, such as {name}_10 or {name}_10_seed0; "
                "or name the columns that are choices (--choices)",
            )


def options(name: str, column: Column) -> tuple[bool | int | float | str, ...]:
    """The different values of a column, as options of a choice.

    Args:
        name: Name of the column.
        column: Values, shape (rows,); text in UTF-8.

    Raises:
        SpaceError: Cells are empty, or there are so many that it is not a choice.
    """
    empty = np.isnan(column) if column.dtype.kind == "f" else column == b"" if column.dtype.kind == "S" else None
    if empty is not None and empty.any():
        raise SpaceError(
            f"column {name!r} has {plural(int(empty.sum()), 'empty cell')}",
            where="table space",
            why=f"the first is in data row {int(np.flatnonzero(empty)[0]) + 1}",
            fix="fill the cells with an option such as 'none', leave such rows out, or name the choices without it",
        )
    values = np.unique(column)
    if len(values) > MOST_OPTIONS:
        raise SpaceError(
            f"column {name!r} holds {plural(len(values), 'different value')}",
            where="table space",
            why="it does not look like a choice",
            fix="name the choices: `choices: [width, op]`",
        )
    return tuple(value.decode("utf-8") if isinstance(value, bytes) else value for value in values.tolist())
