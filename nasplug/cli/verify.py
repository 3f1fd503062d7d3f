"""`nasplug verify`: whether a study and its files are as they were written."""

from __future__ import annotations

import argparse

from nasplug.cli import output
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural

SUMMARY = "Check a study: rows, weights, missing and orphaned files."

#: Exit code of a study whose files are missing or changed; a damaged study file has the same.
UNSOUND = 3


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug verify`."""
    parser.add_argument("file", metavar="FILE", help="the study file")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints what is missing, changed or left over."""
    from nasplug.ledger.inventory import take_inventory
    from nasplug.ledger.sqlite import SQLiteStorage

    storage = SQLiteStorage(arguments.file, writable=False)
    try:
        found = take_inventory(storage)
    finally:
        storage.close()
    lists = {"missing": found.missing, "changed": found.changed, "unknown": found.unknown, "orphans": found.orphans}
    if arguments.json:
        paths = {name: [str(path) for path in files] for name, files in lists.items()}
        output.print_json(
            {"file": arguments.file, "sound": found.sound, "trials": found.trials, "checked": found.checked, **paths}
        )
        return 0 if found.sound else UNSOUND
    meanings = {
        "missing": "missing",
        "changed": "not as the trial wrote it",
        "unknown": "has no recorded checksum",
        "orphans": "belongs to nothing",
    }
    for name, files in lists.items():
        for path in files:
            print(f"{output.printable(str(path))}: {meanings[name]}")
    print(
        f"{plural(found.trials, 'trial is intact', 'trials are intact')}; "
        f"{plural(found.checked, 'file matches its checksum', 'files match their checksums')}"
    )
    if found.orphans:
        print(f"Delete what belongs to nothing: {output.command('clean', arguments.file)}")
    return 0 if found.sound else UNSOUND
