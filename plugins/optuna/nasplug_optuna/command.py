"""`nasplug optuna export`: a study file for Optuna's tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import StorageError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from nasplug.cli.parser import Parser
    from nasplug.ledger.study import Study

#: Endings that ask for an SQLite database. Everything else becomes a journal, which Optuna writes fifty times as fast.
_DATABASES = (".db", ".sqlite", ".sqlite3")


class OptunaCommand:
    """Writes a study for Optuna's tools and its dashboard."""

    def add_arguments(self, parser: Parser) -> None:
        """Adds the form `export` and its options."""
        forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
        export = forms.add_parser("export", help="copy a study file into a storage of Optuna")
        export.add_argument("file", metavar="STUDY", help="the study file")
        export.add_argument(
            "out", metavar="OUT", help="the file to write: an Optuna journal, or a database if it ends in .db"
        )
        export.add_argument("--name", help="name of Optuna's study; default: the name of STUDY without its ending")
        export.add_argument("--force", action="store_true", help="replace OUT if it exists")

    def run(self, arguments: argparse.Namespace) -> int:
        """Writes the file and prints how to look at it."""
        from nasplug.cli.loading import find_plugins, read_study
        from nasplug.ledger.facts import texts_of
        from nasplug.run.api import load_study

        more = texts_of(read_study(arguments.file).meta["spec"], "plugins")
        study = load_study(arguments.file, catalog=find_plugins(arguments, more=more).catalog)
        count = write(study, arguments.out, name=arguments.name or Path(arguments.file).stem, replace=arguments.force)
        print(f"{plural(count, 'trial')} in {arguments.out}")
        print(f"optuna-dashboard {address(arguments.out)}")
        return 0


#: What the catalogue names.
command = OptunaCommand()
command.__doc__ = OptunaCommand.__doc__


def address(path: str | Path) -> str:
    """What Optuna's tools call the file: an URL for a database, the path for a journal."""
    return f"sqlite:///{path}" if Path(path).suffix in _DATABASES else str(path)


def write(study: Study, path: str | Path, *, name: str, replace: bool = False) -> int:
    """Writes a study into a file of Optuna's, all or nothing, and returns the number of trials.

    Args:
        study: Any study.
        path: See `address`.
        name: Name of Optuna's study.
        replace: Whether a file that exists is replaced.

    Raises:
        StorageError: The file exists.
    """
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    from nasplug_optuna.export import to_optuna
    from nasplug_optuna.quiet import quiet

    target = Path(path)
    if target.exists() and not replace:
        raise StorageError("this file exists", where=str(path), fix="give another path, or --force to replace it")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with quiet():
            if target.suffix in _DATABASES:
                database = RDBStorage(f"sqlite:///{unfinished}")
                made = to_optuna(study, storage=database, name=name)
                database.engine.dispose()
            else:
                made = to_optuna(study, storage=JournalStorage(JournalFileBackend(str(unfinished))), name=name)
            count = len(made.get_trials(deepcopy=False))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
