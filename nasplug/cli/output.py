"""What commands print: tables, numbers, JSON, errors. Rich in a terminal; in a pipe plain text without colour."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nasplug.contract.jsondata import Json
from nasplug.contract.labels import shortened

if TYPE_CHECKING:
    from nasplug.contract.errors import NasplugError


def print_json(value: object) -> None:
    """Prints valid JSON on stdout: numbers that JSON cannot say (NaN, infinite) are null."""
    text = json.dumps(json_safe(value), indent=2, ensure_ascii=False, allow_nan=False)
    print(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def json_safe(value: object) -> Json:
    """Replaces NaN and infinite numbers by None and tuples by lists, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(item) for item in value]
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def number(value: float | None) -> str:
    """A number for people: whole ones with thousands separators, others with four significant digits."""
    if value is None or math.isnan(value):
        return "-" if value is None else "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"


def values(pairs: Mapping[str, float]) -> str:
    """`val_acc 0.9833, params 12,345`."""
    return ", ".join(f"{printable(name)} {number(value)}" for name, value in pairs.items())


def duration(seconds: float) -> str:
    """`8 s`, `3:05 min` or `2:10 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def titled(number: int, label: str) -> str:
    """A trial with the name of its architecture: `trial 3 (resnet10t)`."""
    return f"trial {number} ({printable(shortened(label))})"


def command(*words: str) -> str:
    """A command line to suggest, as it must be typed here: `uv run` brings its environment along."""
    prefix = ["uv", "run"] if "UV_RUN_RECURSION_DEPTH" in os.environ else []
    return shlex.join([*prefix, "nasplug", *words])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[str] = ()) -> None:
    """Prints a table on stdout: drawn in a terminal, aligned text without any cut in a pipe.

    Args:
        columns: Headings.
        rows: Cells, as many as columns.
        numeric: Headings of the columns to align to the right.
    """
    columns = [printable(name) for name in columns]
    rows = [[printable(" ".join(cell.split("\n"))) for cell in row] for row in rows]
    numeric = [printable(name) for name in numeric]
    if not sys.stdout.isatty():
        widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
        for row in [columns, *rows]:
            cells = [
                f"{cell:>{width}}" if name in numeric else f"{cell:{width}}"
                for cell, width, name in zip(row, widths, columns, strict=True)
            ]
            print("  ".join(cells).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_escape(cell) for cell in row])
    Console().print(table)


def print_error(error: NasplugError) -> None:
    """Prints an error in a terminal, its parts told apart by colour."""
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(
        ("nasplug: error: ", "bold red"),
        (f"{printable(error.where)}: " if error.where else "", "bold"),
        printable(error.what),
    )
    for label, part in (("Why", error.why), ("Do", error.fix)):
        if part:
            text.append(f"\n{label}: ", style="bold")
            text.append(printable(part))
    Console(stderr=True).print(text, soft_wrap=True)


def warn(message: str) -> None:
    """Prints one line on stderr."""
    print(f"nasplug: warning: {printable(' '.join(message.split()))}", file=sys.stderr)


#: What a terminal obeys instead of showing it: control characters, and those that turn the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Returns text that a terminal only shows: control characters are written as `\x1b`.

    Names and messages come from files and candidates, which may be somebody else's.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _escape(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)
