"""`nasplug report`: one self-contained HTML page about a study, or about several side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.cli.loading import find_plugins, read_study
from nasplug.cli.parser import Parser
from nasplug.ledger.artifacts import beside
from nasplug.ledger.facts import texts_of

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

SUMMARY = "Write a study's report, or that of several side by side: one HTML page."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug report`."""
    parser.add_argument("file", metavar="FILE", nargs="+", help="the study file, or several to compare")
    parser.add_argument(
        "--out",
        metavar="PAGE",
        help="the page to write; default: the first FILE with the ending .html, or -compared.html",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and prints its path."""
    from nasplug.report.page import write_report

    studies = [open_with(arguments, file) for file in arguments.file]
    first = arguments.file[0]
    page = write_report(
        studies, Path(arguments.out or beside(first, ".html" if len(studies) == 1 else "-compared.html"))
    )
    print(page)
    return 0


def open_with(arguments: argparse.Namespace, file: str) -> Study:
    """Opens a study with the plugins of its specification and those of the command line.

    Args:
        arguments: Parsed arguments with `plugin`.
        file: The study file.
    """
    from nasplug.run.api import load_study

    catalog = None
    if arguments.plugin:
        more = texts_of(read_study(file).meta["spec"], "plugins")
        catalog = find_plugins(arguments, more=more).catalog
    return load_study(file, catalog=catalog)
