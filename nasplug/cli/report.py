"""`nasplug report`: one self-contained HTML page about a study."""

from __future__ import annotations

import argparse

from nasplug.cli.loading import find_plugins, read_study
from nasplug.cli.parser import Parser
from nasplug.ledger.artifacts import beside
from nasplug.ledger.facts import texts_of

SUMMARY = "Write a study's report: one HTML page."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug report`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument("--out", metavar="PAGE", help="the page to write; default: FILE with the ending .html")


def run(arguments: argparse.Namespace) -> int:
    """Writes the page and prints its path."""
    from nasplug.run.api import load_study

    catalog = None
    if arguments.plugin:
        more = texts_of(read_study(arguments.file).meta["spec"], "plugins")
        catalog = find_plugins(arguments, more=more).catalog
    study = load_study(arguments.file, catalog=catalog)
    page = study.report(arguments.out or beside(arguments.file, ".html"))
    print(page)
    return 0
