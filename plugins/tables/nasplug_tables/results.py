"""The results of a table: numbers by metric, epochs and training run."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError
from nasplug_tables.table import Table

Floats: TypeAlias = npt.NDArray[np.float64]
#: Training runs by metric and epochs, each of shape (rows,); NaN where a row has no result.
Runs: TypeAlias = dict[str, dict[int, list[Floats]]]


def collect(table: Table) -> Runs:
    """The training runs of a table; their mean only where the runs themselves are not there.

    Args:
        table: Table with columns `METRIC_EPOCHS` or `METRIC_EPOCHS_seedN`.

    Raises:
        DataError: No column holds results, or one of them holds text.
    """
    found: Runs = {}
    results = table.results()
    seeded = {(metric, budget) for metric, budget, seed in results if seed is not None}
    for result in sorted(results, key=lambda r: (r.metric, r.budget, -1 if r.seed is None else r.seed)):
        if result.seed is None and (result.metric, result.budget) in seeded:
            continue  # the runs themselves say more than their mean
        found.setdefault(result.metric, {}).setdefault(result.budget, []).append(numbers(table, results[result]))
    if not found:
        raise DataError(
            "the table has no results",
            where=table.where,
            why=f"its columns are {', '.join(table.columns)}",
            fix="name result columns METRIC_EPOCHS or METRIC_EPOCHS_seedN, such as val_acc_200_seed0",
        )
    return found


def numbers(table: Table, name: str) -> Floats:
    """A column of results, shape (rows,); NaN where a cell is empty.

    Args:
        table: The table.
        name: Name of the column.

    Raises:
        DataError: It holds text.
    """
    column = table.column(name)
    if column.dtype.kind == "S":
        text = next((value.decode() for value in column.tolist() if not _is_number(value)), "numbers in quotes")
        raise DataError(
            f"the result column {name!r} holds text",
            where=table.where,
            why=f"such as {text!r}" if text else "beside empty cells",
            fix="write numbers, and leave the cell empty where there is no result",
        )
    return column.astype(np.float64, copy=False)


def missing(runs: Runs) -> dict[str, int]:
    """How many rows have no result of a metric after its longest training, for the metrics where some have none.

    Args:
        runs: Runs of a table.
    """
    counts = {name: int(np.isnan(np.stack(by[max(by)])).all(axis=0).sum()) for name, by in runs.items()}
    return {name: count for name, count in counts.items() if count}


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
