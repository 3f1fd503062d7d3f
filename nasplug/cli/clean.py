"""`nasplug clean`: deletes files that belong to nothing any more."""

from __future__ import annotations

import argparse

from nasplug.cli import output
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural

SUMMARY = "Delete files of a study that belong to nothing any more."


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug clean`."""
    parser.add_argument("file", metavar="FILE", help="the study file; no run may be writing it")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Deletes orphans, or lists them."""
    from nasplug.contract.errors import StorageError
    from nasplug.ledger.files import study_path
    from nasplug.ledger.inventory import remove, size_of, take_inventory
    from nasplug.ledger.sqlite import SQLiteStorage

    if not study_path(arguments.file).is_file():
        raise StorageError(f"there is no study file {arguments.file!r}", fix="check the path")
    storage = SQLiteStorage(arguments.file)  # holds the lock: what a run writes at this moment is not an orphan
    try:
        orphans = take_inventory(storage, contents=False).orphans
        size = sum(size_of(path) for path in orphans)
        if not arguments.dry_run:
            for path in orphans:
                remove(path)
    finally:
        storage.close()
    if arguments.json:
        paths = [str(path) for path in orphans]
        output.print_json({"file": arguments.file, "deleted": not arguments.dry_run, "bytes": size, "orphans": paths})
        return 0
    for path in orphans:
        print(output.printable(str(path)))
    verb = "would delete" if arguments.dry_run else "deleted"
    print(f"{verb} {plural(len(orphans), 'file or folder', 'files and folders')}, {size / 1e6:.1f} MB")
    return 0
