"""What commands load: the catalogue with warnings about broken plugins, and studies from their files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError, StudyError

if TYPE_CHECKING:
    from nasplug.contract.records import Trial
    from nasplug.ledger.facts import Facts
    from nasplug.ledger.study import Study
    from nasplug.plugins.catalog import Catalog
    from nasplug.plugins.discovery import Discovery
    from nasplug.run.assemble import Assembly
    from nasplug.run.spec import RunSpec


def find_plugins(arguments: argparse.Namespace, *, more: tuple[str, ...] = (), warn: bool = False) -> Discovery:
    """Installed plugins with the files that `--plugin` names.

    Args:
        arguments: Parsed arguments with `plugin`.
        more: Further files, such as those of a specification.
        warn: Print a line on stderr for each plugin that was left out.
    """
    from nasplug.cli import output
    from nasplug.plugins.discovery import discover

    found = discover(dict.fromkeys([*arguments.plugin, *more]))
    if warn:
        for plugin in found.broken:
            output.warn(f"plugin {plugin.name!r} ({plugin.distribution}) is left out: {plugin.error}")
    return found


def read_study(path: str | Path, *, with_space: bool = False) -> Study:
    """Opens a study to look at its trials: no network can be built.

    Args:
        path: The study file.
        with_space: Whether to load the plugin of its space, with a warning where that fails; otherwise no plugin is
            imported.

    Raises:
        StorageError: The file is missing, damaged or no study.
    """
    from nasplug.contract.records import Budget, Constraint, Objective
    from nasplug.ledger.artifacts import artifact_folder
    from nasplug.ledger.comparison import read_baseline
    from nasplug.ledger.facts import integer_of
    from nasplug.ledger.ledger import Ledger
    from nasplug.ledger.sqlite import SQLiteStorage
    from nasplug.ledger.view import Setting

    if with_space:
        from nasplug.cli import output
        from nasplug.plugins.trust import trusted
        from nasplug.run.api import load_study

        opened = load_study(path, trust=trusted())
        if "unavailable" in opened.meta:
            output.warn(f"the space of this study is not available: {opened.meta['unavailable']}")
        return opened
    storage = SQLiteStorage(path, writable=False)
    try:
        meta, trials = _checked(storage.meta(), path), storage.trials()
    finally:
        storage.close()
    baseline = read_baseline(meta)
    meta.pop("baseline", None)
    ledger = Ledger(
        Setting(
            objectives=tuple(Objective(name, direction) for name, direction in meta["objectives"].items()),
            constraints=tuple(Constraint.parse(text) for text in meta["constraints"]),
            seed=integer_of(meta["spec"], "run", "seed", 0),
            budget=Budget(integer_of(meta["spec"], "budget", "epochs", 1)),
            folder=artifact_folder(path, meta.get("id")),
            meta=meta,
        )
    )
    ledger.restore(trials)
    study = ledger.result()
    study.baseline = baseline
    return study


def stored_spec(path: str | Path) -> RunSpec:
    """The specification in a study file, with the file itself as its storage.

    Raises:
        StorageError: The file is missing, damaged or no study.
        SpecError: The study was started from Python with ready-made objects, which no file can hold.
    """
    import dataclasses

    from nasplug.ledger.sqlite import SQLiteStorage
    from nasplug.run.spec import RunSpec

    storage = SQLiteStorage(path, writable=False)
    try:
        meta = _checked(storage.meta(), path)
    finally:
        storage.close()
    if meta.get("objects"):
        raise SpecError(
            f"this study was given Python objects as its {', '.join(meta['objects'])}",
            where=str(path),
            why="a study file holds names and numbers, no code",
            fix="use the Python functions: nasplug.search(..., storage=FILE) resumes and returns the study, whose "
            "`export` writes networks",
        )
    spec = RunSpec.parse(meta["spec"])
    return spec.replace(run=dataclasses.replace(spec.run, storage=str(path)))


def overridden(spec: RunSpec, overrides: Sequence[str]) -> RunSpec:
    """The specification with `key.path=value` overrides, as `--set` gives them.

    Raises:
        SpecError: An override cannot be applied.
    """
    from nasplug.run.spec import RunSpec, apply_override

    data = spec.to_plain()
    for override in overrides:
        apply_override(data, override)
    return RunSpec.parse(data)


def open_study(path: str | Path, arguments: argparse.Namespace) -> tuple[Study, Assembly]:
    """Opens a study with everything that is needed to build and load its networks."""
    from nasplug.run.assemble import compose
    from nasplug.run.earlier import updated

    looked_at = read_study(path)
    spec = stored_spec(path)
    catalog = find_plugins(arguments, more=spec.plugins).catalog
    assembly = compose(updated(spec, catalog), catalog, with_strategy=False)
    ledger = assembly.ledger(folder=looked_at.setting.folder, meta=looked_at.meta)
    ledger.restore([*looked_at.trials, *looked_at.pending])
    study = ledger.result(lambda: assembly)
    study.baseline = looked_at.baseline
    return study, assembly


def pick_trial(study: Study, number: int | None, path: str | Path, catalog: Catalog | None = None) -> Trial:
    """The trial of that number, or the recommended one, with a line on stderr if that is not the best one measured.

    Args:
        study: The study.
        number: Number that the person gave.
        path: The study file.
        catalog: Catalog to look the strategy up in, which may recommend another trial than the best one.

    Raises:
        StudyError: There is none.
    """
    if number is None:
        from nasplug.cli import output
        from nasplug.run.recommendation import recommend

        found = recommend(study, path, catalog)
        if found.trial.number != found.best.number:
            chosen, best = (output.titled(one.number, study.label(one)) for one in (found.trial, found.best))
            output.warn(f"taking {chosen}, {found.reason}; the best value measured is that of {best}: --trial chooses")
        return study.trial(found.trial.number)
    try:
        return study.trial(number)
    except StudyError as error:
        count = study.proposed
        raise StudyError(
            f"there is no trial {number}",
            where=str(path),
            why=f"the study has trials 0 to {count - 1}" if count else "the study has no trials yet",
            fix=f"`nasplug trials {path}` lists them",
        ) from error


def _checked(meta: Facts, path: str | Path) -> Facts:
    if "spec" not in meta:
        from nasplug.contract.errors import StorageError

        raise StorageError(
            "this study has no specification",
            where=str(path),
            why="its run ended before the first trial",
            fix="start the run again; it uses the same file",
        )
    return meta
