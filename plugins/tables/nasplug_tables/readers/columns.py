"""Tables of CSV files, whose columns are choices and results."""

from __future__ import annotations

from pathlib import Path

from nasplug.contract.errors import DataError
from nasplug.optional import require
from nasplug_tables.table import Result, Table, as_numpy


def read(source: str | Path) -> Table:
    """Reads a CSV file with a line of names: choices as they are called, results as METRIC_EPOCHS[_seedN].

    Args:
        source: File; `.tsv` is separated by tabs.

    Raises:
        DataError: The file is missing or not a table, or has a column of another type than numbers and text.
        MissingExtraError: pyarrow is not installed.
    """
    require("pyarrow", extra="bench", distribution="nasplug-tables", purpose="read tables")
    import pyarrow as pa
    from pyarrow import csv

    path = Path(source)
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), fix="check the path")
    parsing = csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
    try:
        found = csv.read_csv(path, parse_options=parsing)
    except (pa.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise DataError("the file cannot be read as a table", where=str(path), why=why) from error
    columns = {name: found.column(name) for name in found.column_names}
    for name, column in columns.items():
        if pa.types.is_integer(column.type) and column.null_count and Result.of(name) is not None:
            columns[name] = column.cast(pa.float64())  # a result may be missing
    return Table({name: as_numpy(column, path, name) for name, column in columns.items()}, {}, None)
