"""Warm starts: a study begins with the results of another one, whatever its strategy.

The trials come as proposals that stand before those of the strategy, as enqueued architectures do, and bring their
results along. They are written into the new study's file when it begins: it needs the other one never again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nasplug.contract.errors import NasplugError, SpecError, StorageError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Proposal, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.artifacts import artifact_folder, check_artifact, folder_of
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.run.differing import differences
from nasplug.run.spec import RunSpec

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.ledger.facts import Facts
    from nasplug.ledger.view import StudyView

#: Keys of a specification that decide what a trial of a proposal results in; the rest says what is proposed.
DECIDE = ("space", "task", "evaluator", "build", "target", "callbacks", "budget")
WHERE = "warm start"


class Warm:
    """Proposes the trials of another study before the strategy is asked, and knows their results.

    Args:
        trials: The trials, numbered as they are proposed.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = tuple(trials)

    @hookimpl(tryfirst=True)
    def propose(self, study: StudyView, count: int) -> list[Proposal] | None:
        """Returns the next of the proposals, None when all were made."""
        rest = self.trials[study.proposed : study.proposed + count]
        return [trial.proposal for trial in rest] or None

    def result(self, trial: Trial) -> Trial:
        """Returns a trial that was just proposed with the result it brings along, if it is one of them."""
        if trial.number >= len(self.trials) or trial.finished:
            return trial
        known = self.trials[trial.number]
        return known.with_(proposal=trial.proposal, label=trial.label)


def take(path: str | Path, spec: RunSpec, space: SearchSpace, folder: Path | None) -> list[Trial]:
    """Reads the complete trials of another study, in their order, each network and training once.

    Args:
        path: The other study's file; it may be written to meanwhile.
        spec: Specification of the study that begins.
        space: Search space of that study.
        folder: Folder of artifacts of that study, into which weights are copied; None leaves them behind.

    Raises:
        SpecError: The results are not those that this study would have found.
        StorageError: The file cannot be read.
    """
    storage = SQLiteStorage(path, writable=False)
    try:
        meta, trials = storage.meta(), storage.trials()
    finally:
        storage.close()
    _check_alike(str(path), meta, spec)
    source = artifact_folder(path, meta.get("id"))
    found: dict[tuple[object, ...], Trial] = {}
    for trial in trials:
        if trial.state != "complete" or trial.copied_from is not None:
            continue
        _check_trial(str(path), trial, spec, space)
        info = {"origin": "warm start", "study": str(meta.get("id")), "trial": trial.number}
        proposal = msgspec.structs.replace(trial.proposal, inherits=None, seed=None, info=info)
        number = len(found)
        taken = trial.with_(number=number, proposal=proposal, artifacts={}, checksums={}, dropped=())
        if found.setdefault(proposal.identity(), taken) is taken and folder is not None and source is not None:
            found[proposal.identity()] = _with_files(trial, taken, source, folder)
    if not found:
        raise SpecError("the study has no complete trial to start from", where=f"{WHERE}: {path}")
    _check_budget(len(found), spec, str(path))
    return list(found.values())


def packed(trials: Sequence[Trial]) -> list[Json]:
    """Returns trials as plain data, for the facts of a study."""
    return [trial.to_json() for trial in trials]


def unpacked(data: Sequence[Json]) -> list[Trial]:
    """Returns the trials that `packed` gave."""
    return [Trial.from_json(item) for item in data if isinstance(item, Mapping)]


def _check_alike(path: str, meta: Facts, spec: RunSpec) -> None:
    if "spec" not in meta:
        raise StorageError("this study has no specification", where=path, why="it ended before its first trial")
    theirs, ours = RunSpec.parse(meta["spec"]).fingerprint(), spec.fingerprint()
    wrong = [
        line
        for key in DECIDE
        if theirs.get(key) != ours.get(key)
        for line in differences(theirs.get(key), ours.get(key), key)
    ]
    if wrong:
        raise SpecError(
            "the results of that study are not results of this one",
            where=f"{WHERE}: {path}",
            why=f"there and here: {'; '.join(wrong)}",
            fix="give both the same space, task, evaluator and epochs, or train its best networks again: `enqueue:` "
            "with their genotypes, as `nasplug trials --json` shows them",
        )


def _check_trial(path: str, trial: Trial, spec: RunSpec, space: SearchSpace) -> None:
    try:
        space.validate(trial.architecture)
    except NasplugError as error:
        raise SpecError(
            f"trial {trial.number} of that study is not in the search space", where=f"{WHERE}: {path}", why=str(error)
        ) from error
    names = [objective.name for objective in spec.objectives] + [item.name for item in spec.constraints]
    missing = sorted({name for name in names if name not in trial.values})
    if missing:
        raise SpecError(
            f"trial {trial.number} of that study was not measured by {', '.join(map(repr, missing))}",
            where=f"{WHERE}: {path}",
            why=f"this study compares trials by it; that one knows {', '.join(sorted(trial.values))}",
            fix="leave it out here, or add it there as a cost (`costs:`) and let it run again",
        )


def _check_budget(count: int, spec: RunSpec, path: str) -> None:
    limit = spec.budget.trials
    if limit is not None and limit <= count:
        raise SpecError(
            f"nothing would be searched: that study brings {plural(count, 'trial')}, and budget.trials is {limit}",
            where=f"{WHERE}: {path}",
            why="trials that are brought along count as trials",
            fix=f"set budget.trials to more than {count}",
        )


def _with_files(trial: Trial, taken: Trial, source: Path, folder: Path) -> Trial:
    """The trial with its files, copied to where the new study looks; those that are gone or damaged stay behind."""
    artifacts: dict[str, str] = {}
    for name, path in trial.artifacts.items():
        try:
            check_artifact(trial, name, source / path)
        except NasplugError:
            continue
        inside = Path(path).relative_to(folder_of(trial)) if Path(path).is_relative_to(folder_of(trial)) else Path(path)
        target = folder / folder_of(taken) / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (source / path).is_dir() else shutil.copyfile)(source / path, target)
        artifacts[name] = target.relative_to(folder).as_posix()
    sums: Mapping[str, str] = {name: value for name, value in trial.checksums.items() if name in artifacts}
    return taken.with_(artifacts=artifacts, checksums=sums)
