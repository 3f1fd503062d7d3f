"""Columns of table files, and numbers and categories made of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.optional import require

#: Text columns with more values than these are not categories.
MOST = 64
#: Endings of files that hold columns.
SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})

Columns = Mapping[str, Sequence[Any]]


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Reads all columns of a table with a header, by name.

    Args:
        path: A file with one of `SUFFIXES`.

    Raises:
        DataError: The file cannot be read, or has no rows.
        MissingExtraError: pyarrow is not installed, and the file is Parquet.
    """
    return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)


def column(columns: Columns, name: str, path: Path) -> Sequence[Any]:
    """Returns a column by name.

    Raises:
        DataError: There is none.
    """
    if name not in columns:
        raise DataError(f"there is no column {name!r}", where=str(path), fix=did_you_mean(name, list(columns)))
    return columns[name]


def encoded(
    name: str, values: Sequence[Any], path: Path, options: Sequence[str] | None = None
) -> tuple[NDArray[np.float32], list[str] | None]:
    """Numbers (N, 1) of a column, or a column of 0 and 1 for each of its categories, with those categories.

    Args:
        name: Name of the column.
        values: Entries of the column, numbers or texts.
        path: Name of the file in messages.
        options: Categories, where they are known; None finds whether there are some.

    Raises:
        DataError: A value is missing, or there are too many categories for categories, or one that is not known.
    """
    refuse_missing(name, values, path)
    found = numbers(values) if options is None else None
    if found is not None:
        return found[:, None], None
    texts = [str(value) for value in values]
    known = sorted(set(texts)) if options is None else list(options)
    if options is None and len(known) > MOST:
        raise DataError(
            f"column {name!r} holds {len(known)} different texts, such as {known[0]!r}",
            where=str(path),
            why=f"more than {MOST} are not categories",
            fix=f"name it in `ignore`, or replace it by numbers: ignore: [{name}]",
        )
    strange = [position for position, text in enumerate(texts) if text not in known]
    if strange:
        raise DataError(
            f"column {name!r} holds {texts[strange[0]]!r} in row {strange[0] + 1}",
            where=str(path),
            why=f"the network knows {', '.join(map(repr, known[:8]))}{', ...' if len(known) > 8 else ''}",
            fix="leave such rows out",
        )
    return (np.array(texts)[:, None] == np.array(known)[None]).astype(np.float32), known


def numbers(values: Sequence[Any]) -> NDArray[np.float32] | None:
    """Returns the values as numbers (N,), or None if one of them is a text."""
    try:
        with np.errstate(over="ignore"):
            return np.array([float(value) for value in values]).astype(np.float32)
    except (TypeError, ValueError):
        return None


def refuse_missing(name: str, values: Sequence[Any], path: Path) -> None:
    """Refuses a column with missing values.

    Raises:
        DataError: It has one.
    """
    for position, value in enumerate(values):
        if value is None or (isinstance(value, str) and value in ("", "?", "NA", "NaN", "nan", "null")):
            raise DataError(
                f"column {name!r} has no value in row {position + 1}",
                where=str(path),
                why="what a missing value means is not known",
                fix="fill it in, leave the row out, or name the column in `ignore`",
            )


def inputs(x: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """Numbers of an array as they are: rows (N, F), or images with the channels first.

    Raises:
        DataError: It is neither.
    """
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "fiub":
        raise DataError(
            f"the inputs are {x.dtype} of shape {x.shape}",
            where=str(path),
            why="they must be numbers (N, F), (N, H, W) or (N, H, W, C)",
        )
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    if x.ndim == 3:
        values = values[:, None]
    return np.moveaxis(values, 3, 1) if x.ndim == 4 else values


def scale_of(x: NDArray[Any]) -> float:
    """Returns the number that becomes 1: 255 for 8-bit levels of images, else 1."""
    return 255.0 if x.dtype == np.uint8 and x.ndim > 2 else 1.0


def _csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read the table", where=str(path), why=str(error)) from error
    if len(rows) < 2:
        raise DataError("the table has no rows below its header", where=str(path))
    header = [name.strip() for name in rows[0]]
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"two columns are called {twice[0]!r}", where=str(path), fix="give every column its name")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"line {number} has {plural(len(row), 'field')}, the header {len(header)}", where=str(path))
    return {name: [row[position].strip() for row in rows[1:]] for position, name in enumerate(header)}


def _parquet(path: Path) -> dict[str, list[Any]]:
    parquet = require("pyarrow.parquet", extra="table", purpose="read Parquet files")
    try:
        table = parquet.read_table(str(path))
    except Exception as error:  # of classes that pyarrow keeps to itself
        raise DataError("cannot read the table", where=str(path), why=str(error)) from error
    if not table.num_rows:
        raise DataError("the table has no rows", where=str(path))
    return {name: table.column(name).to_pylist() for name in table.column_names}
