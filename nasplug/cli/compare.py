"""`nasplug compare`: several studies of the same objectives side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli import output
from nasplug.cli.loading import read_study
from nasplug.cli.parser import Parser, key_value
from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from nasplug.ledger.study import Study
    from nasplug.report.across import Comparison

SUMMARY = "Show several studies side by side."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug compare`."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="the study files, two or more")
    parser.add_argument(
        "--reference",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=key_value,
        help="reference point of the hypervolumes; default: the worst value of each objective among all trials",
    )
    parser.add_argument("--out", metavar="PATH", help="a plot to write: .png, .svg or .pdf, or .html with the tables")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the comparison, and writes the plot."""
    from nasplug.report.across import compare, names_of
    from nasplug.report.across_tables import tables

    if len({Path(file).resolve() for file in arguments.files}) < 2 or len(set(arguments.files)) < len(arguments.files):
        raise SpecError("two different studies or more are compared", where="nasplug compare", fix="give their files")
    studies = {name: read_study(file) for name, file in zip(names_of(arguments.files), arguments.files, strict=True)}
    reference = None if arguments.reference is None else _reference(arguments, next(iter(studies.values())))
    found = compare(studies, reference)
    if arguments.out:
        _write(found, arguments)
    if arguments.json:
        output.print_json({**found.to_json(), "out": arguments.out})
        return 0
    for table in tables(found):
        print(table.title)
        output.print_table(table.columns, table.rows, numeric=table.columns[table.texts :])
        print()
    print(f"reference of the hypervolumes: {output.values(found.reference) or 'none'}")
    if arguments.out:
        print(f"written: {output.printable(arguments.out)}")
    return 0


def _reference(arguments: argparse.Namespace, study: Study) -> dict[str, float]:
    from nasplug.cli.pareto import check_reference

    reference = dict(arguments.reference)
    check_reference(reference, [objective.name for objective in study.objectives])
    return reference


def _write(found: Comparison, arguments: argparse.Namespace) -> None:
    path = Path(arguments.out)
    if path.suffix.lower() == ".html":
        from nasplug.cli.report import write_page

        write_page(arguments, arguments.files, path)
    else:
        from nasplug.report.across_plot import write_picture

        write_picture(found, path)
