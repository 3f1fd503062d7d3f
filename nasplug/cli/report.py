"""`nasplug report`: one self-contained HTML page about a study, or about several side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
    files = arguments.file
    ending = ".html" if len(files) == 1 else "-compared.html"
    print(write_page(arguments, files, arguments.out or beside(files[0], ending)))
    return 0


def write_page(arguments: argparse.Namespace, files: Sequence[str], path: str | Path) -> Path:
    """Writes the page about studies, opened with their plugins, and returns its path.

    Args:
        arguments: Parsed arguments with `plugin`.
        files: Study files.
        path: The page to write.
    """
    from nasplug.report.page import write_report

    return write_report([open_with(arguments, file) for file in files], Path(path))


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
