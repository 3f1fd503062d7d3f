"""`nasplug clean`: deletes files that belong to nothing any more, and prepared data that nobody uses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nasplug.cli import output
from nasplug.cli.parser import Parser
from nasplug.contract.wording import plural

SUMMARY = "Delete files of a study that belong to nothing any more, or prepared data that nobody has used for a while."
#: Days after which prepared data count as unused.
_DAYS = 30.0


def add_arguments(parser: Parser) -> None:
    """Adds the options of `nasplug clean`."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="the study file; no run may be writing it")
    parser.add_argument("--cache", action="store_true", help="delete decoded images and prepared volumes instead")
    parser.add_argument(
        "--unused",
        type=float,
        metavar="DAYS",
        help=f"with --cache: what was last used so long ago, {_DAYS:g} if left out; 0 deletes all of it",
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    parser.add_argument("--json", action="store_true", help="print the paths as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Deletes orphans or unused data, or lists them.

    Raises:
        SpecError: Neither or both of a study and the cache are named, or `--unused` does not fit.
        StorageError: The study does not exist, or a run writes to it.
    """
    from nasplug.contract.errors import SpecError

    if arguments.cache == (arguments.file is not None):
        raise SpecError(
            "one of FILE and --cache is needed, and not both",
            where="nasplug clean",
            fix="name a study file, or write --cache for decoded images and prepared volumes",
        )
    days = arguments.unused
    if days is not None and not (arguments.cache and days >= 0):
        raise SpecError(f"--unused is {days:g}", where="nasplug clean", fix="write --cache with it, and 0 or more days")
    if arguments.cache:
        return _clean_cache(arguments, _DAYS if days is None else days)
    return _clean_study(arguments)


def _clean_cache(arguments: argparse.Namespace, days: float) -> int:
    from nasplug.data.cache import cache_folder
    from nasplug.data.cleaning import delete, unused

    entries = unused(days)
    if not arguments.dry_run:
        delete(entries)
    paths = [entry.path for entry in entries]
    return _say(arguments, str(cache_folder()), paths, sum(entry.size for entry in entries), "unused")


def _clean_study(arguments: argparse.Namespace) -> int:
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
    return _say(arguments, arguments.file, orphans, size, "orphans")


def _say(arguments: argparse.Namespace, where: str, paths: Sequence[Path], size: int, key: str) -> int:
    """Lists what was deleted, or would be."""
    if arguments.json:
        texts = [str(path) for path in paths]
        output.print_json({"file": where, "deleted": not arguments.dry_run, "bytes": size, key: texts})
        return 0
    for path in paths:
        print(output.printable(str(path)))
    verb = "would delete" if arguments.dry_run else "deleted"
    print(f"{verb} {plural(len(paths), 'file or folder', 'files and folders')}, {size / 1e6:.1f} MB")
    return 0
