"""`nasplug copy`: a complete copy of a study, also of one that is being written, or of an older format."""

from __future__ import annotations

import argparse

from nasplug.cli import output
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural

SUMMARY = "Copy a study with its weights; converts older formats."


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of `nasplug copy`."""
    parser.add_argument("source", metavar="SRC", help="the study file to copy")
    parser.add_argument("target", metavar="DST", help="the path of the copy, which must not exist")


def run(arguments: argparse.Namespace) -> int:
    """Copies."""
    from nasplug.ledger.copying import copy_study

    trials = copy_study(arguments.source, arguments.target)
    print(f"copied {plural(trials, 'trial')} to {output.printable(arguments.target)}")
    return 0
