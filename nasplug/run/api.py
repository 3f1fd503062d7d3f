"""The Python door: start, resume and open searches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError, PluginError, SpecError, StorageError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import Executor, SearchSpace
from nasplug.contract.records import Budget, Trial
from nasplug.contract.tracker import Tracker
from nasplug.ledger.artifacts import artifact_folder, new_identifier
from nasplug.ledger.comparison import read_baseline
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.ledger.storage import open_storage
from nasplug.ledger.study import Study
from nasplug.ledger.view import Setting
from nasplug.plugins.catalog import Catalog
from nasplug.plugins.component import instantiate
from nasplug.plugins.discovery import discover
from nasplug.plugins.trust import trusted, untrusted
from nasplug.plugins.watchdog import WARNING, Watchdog, check_limit
from nasplug.run.assemble import Assembly, compose
from nasplug.run.baseline import kept_baseline, plain_baseline
from nasplug.run.differing import differences
from nasplug.run.earlier import updated
from nasplug.run.giving_up import GIVE_UP_AFTER
from nasplug.run.hyperparameters import with_hyperparameters
from nasplug.run.loop import Search
from nasplug.run.parts import EXECUTOR, check_members, check_names, plain_or_object
from nasplug.run.processes import check_program, prepare
from nasplug.run.retry import read_kinds, take_back
from nasplug.run.spec import RunSpec
from nasplug.run.versions import machine, versions
from nasplug.run.warm import Warm, packed, take, unpacked

if TYPE_CHECKING:
    from nasplug.contract.grammar import DomainLike
    from nasplug.contract.records import Direction
    from nasplug.ledger.facts import Facts
    from nasplug.run.given import (
        BaselineLike,
        EvaluatorLike,
        ExecutorLike,
        SpaceLike,
        StrategyLike,
        TaskLike,
        TrackerLike,
    )


def search(
    task: TaskLike | None = None,
    *,
    space: SpaceLike,
    hyperparameters: Mapping[str, DomainLike] | None = None,
    strategy: StrategyLike = "random",
    evaluator: EvaluatorLike = "lightning",
    objectives: Mapping[str, Direction] | None = None,
    constraints: Sequence[str] = (),
    build: Sequence[object] = (),
    target: str | None = None,
    costs: Sequence[object] = (),
    stoppers: Sequence[object] = (),
    callbacks: Sequence[object] = (),
    trackers: Sequence[TrackerLike] = (),
    enqueue: Sequence[Json] = (),
    baseline: BaselineLike | None = None,
    trials: int | None = None,
    epochs: int = 1,
    seconds: float | None = None,
    workers: int = 1,
    executor: ExecutorLike | None = None,
    batch: int = 4,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    gpus: float | None = None,
    storage: str | Path | None = None,
    time_limit: float | None = None,
    keep: str = "all",
    remeasure: bool = False,
    clock: str | None = None,
    rehearse: bool = True,
    give_up_after: int = GIVE_UP_AFTER,
    hook_warning: float = WARNING,
    hook_limit: float | None = None,
    plugins: Sequence[str | Path] = (),
    warm_start: str | Path | None = None,
    progress: bool | None = None,
) -> Study:
    """Runs a search and returns its study; with an existing `storage` it resumes.

    Every component may be a slug, `nas.component(slug, ...)`, a `{class_path, init_args}` mapping or a ready object.

    Args:
        task: Data and training.
        space: Search space.
        hyperparameters: Ranges, choices and fixed values of the training by name, searched beside the architecture,
            such as `{"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "optimizer": ["adam", "sgd"]}`.
        strategy: Strategy that proposes.
        evaluator: Turns proposals into metrics.
        objectives: Metric or cost to `max` or `min`; default: the task's first.
        constraints: Hard bounds such as `"macs <= 50e6"`.
        build: Wrappers of every network.
        target: Hardware target, e.g. `cpu`.
        costs: Cost plugins beyond those that objectives and constraints name.
        stoppers: Plugins that stop trainings early.
        callbacks: Lightning callbacks for every trial.
        trackers: Trackers that follow the run; besides slugs, any `nasplug.Tracker`.
        enqueue: Genotypes to evaluate first.
        baseline: Network to compare with, trained as the trials are: `"timm:resnet18"`, a function that makes it
            (from the task, or from nothing), or `{"genotype": [...]}` of the space. It is `study.baseline`.
        trials: Number of trials; None goes on until the strategy ends or the time is over.
        epochs: Epochs per trial.
        seconds: Wall time after which nothing new is proposed.
        workers: Worker processes; more than one selects the executor `process`.
        executor: Executor of the trials: `inline`, `process`, or that of a package.
        batch: Number of trials proposed ahead of results; decides the trials, unlike `workers`.
        seed: Seed of every random stream.
        threads: Torch threads per trial.
        device: `cpu`, `cuda` or `auto`.
        gpus: Part of a GPU for each trial, or several; None shares those that there are evenly.
        storage: Study file, or None for memory.
        time_limit: Seconds per trial; needs the executor `process`.
        keep: Rule for the files that stay: `all`, `front`, or `best N`.
        remeasure: Train repeated proposals again.
        clock: Metric with the seconds a trial takes: run the batch on a simulated clock, see `RunOptions`.
        rehearse: Try one batch before the first trial, to find mistakes that would meet every trial.
        give_up_after: Number of trials that fail alike, without a success, after which the run ends; 0 for never.
        hook_warning: Seconds until a hook, constructor or silent piece of work is named; 0 for never.
        hook_limit: Seconds that a hook or constructor may take, and work without a word; then the run ends.
        plugins: Paths of single-file plugins.
        warm_start: Study file whose complete trials stand at the beginning of this study, with their results.
        progress: Show a live display: bars in a terminal or a notebook, lines elsewhere; default: not elsewhere.

    Raises:
        NasplugError: Bad input, a broken plugin or an unusable study file; no candidate makes it raise.
    """
    objects: dict[str, object] = {}
    if executor is None:
        executor = "process" if workers > 1 else "inline"
    given = {
        "space": with_hyperparameters(space, hyperparameters),
        "strategy": strategy,
        "task": task,
        "evaluator": evaluator,
        "build": build,
        "costs": costs,
        "stoppers": stoppers,
        "callbacks": callbacks,
        "trackers": [item for item in trackers if not isinstance(item, Tracker)],
    }
    options = {
        "executor": executor,
        "workers": workers,
        "batch": batch,
        "seed": seed,
        "threads": threads,
        "device": device,
        "gpus": gpus,
        "storage": None if storage is None else str(storage),
        "time_limit": time_limit,
        "keep": keep,
        "remeasure": remeasure,
        "clock": clock,
        "rehearse": rehearse,
        "give_up_after": give_up_after,
        "hook_warning": hook_warning,
        "hook_limit": hook_limit,
    }
    spec = RunSpec.parse(
        {
            **{key: plain_or_object(key, value, objects) for key, value in given.items()},
            "target": target,
            "objectives": {} if objectives is None else objectives,
            "constraints": constraints if isinstance(constraints, str) else list(constraints),
            "enqueue": list(enqueue),
            "baseline": plain_baseline(baseline, objects),
            "budget": {"trials": trials, "epochs": epochs, "seconds": seconds},
            "run": {key: value for key, value in options.items() if value is not None},
            "plugins": plugins if isinstance(plugins, str) else [str(path) for path in plugins],
        }
    )
    followers = [item for item in trackers if isinstance(item, Tracker)]
    if progress is not False:
        followers += _displays(always=progress is True)
    return run_spec(spec, objects=objects, trackers=followers, warm_start=warm_start)


def _displays(*, always: bool) -> list[Tracker]:
    """What shows a search to a person: bars in a notebook and a terminal, lines elsewhere if they are wanted."""
    from nasplug.cli.notebook import NotebookDisplay, in_notebook
    from nasplug.cli.progress import LiveDisplay

    if in_notebook():
        return [NotebookDisplay()]
    return [LiveDisplay()] if always or sys.stderr.isatty() else []


def run_spec(
    spec: RunSpec,
    *,
    objects: Mapping[str, object] | None = None,
    trackers: Sequence[Tracker] = (),
    resume: bool = True,
    retry_failed: str | Iterable[str] = (),
    snapshot_every: float = 5.0,
    warm_start: str | Path | None = None,
) -> Study:
    """Runs a specification, or what is left of it.

    Args:
        spec: The specification.
        objects: Ready-made objects by key of the specification.
        trackers: Trackers that follow the run, beside those of the specification.
        resume: False refuses a storage that already has trials.
        retry_failed: Kinds of failures, such as `crash` and `timeout`, whose trials in the storage run again. Later
            trials keep their results where the outcome of these does not change them.
        snapshot_every: Seconds between snapshots of the strategy's state in the study file.
        warm_start: Study file whose complete trials stand at the beginning of this study; read once, when it begins.

    Raises:
        SpecError: The specification cannot run, or the study file belongs to another one.
        StorageError: The study file cannot be used.
    """
    if spec.budget.trials is None and spec.budget.seconds is None:
        # A strategy may end by itself; most do not, and then this would never come back.
        raise SpecError("no stopping criterion", where="budget", fix="set budget.trials or budget.seconds")
    kinds = read_kinds(retry_failed)
    check_limit(spec.run.hook_limit)
    watchdog = Watchdog(spec.run.hook_warning, spec.run.hook_limit)
    with watchdog.awake():
        with watchdog.watching("plugins", "import"):
            catalog = discover(spec.plugins).catalog
        check_names(spec, catalog)
        if spec.run.executor.name == "process":
            check_program()
            prepare(training=spec.task is not None)
        assembly = compose(spec, catalog, objects, watchdog=watchdog)
        if assembly.baseline is not None:
            with watchdog.watching("baseline", "check"):
                assembly.baseline.trial(spec.run.seed)  # refused now, not beside the first trial
        with watchdog.watching(f"executor: {spec.run.executor.name}", "constructor"):
            executor = make_executor(spec, catalog)
    if spec.run.time_limit is not None and not executor.separate:
        raise SpecError(
            "a time limit cannot be kept inside one process", where="run.time_limit", fix="run.executor: process"
        )
    if not executor.separate and "torch" in sys.modules:
        import torch

        torch.set_num_threads(spec.run.threads)
    storage = open_storage(spec.run.storage)
    try:
        trials = storage.trials()  # a damaged file is refused before anything is written to it
        stored = storage.meta()
        if _is_nobodys(stored, trials, storage.work(), spec):
            storage.clear()
            stored, trials = {}, []
        meta = _open_meta(stored, assembly, catalog, objects or {}, resume=resume)
        if kinds:
            retried = take_back(storage, kinds, needs_history=assembly.needs_history)
            meta["runs"][-1]["retried"] = retried
            trials = storage.trials()
        folder = artifact_folder(spec.run.storage, meta["id"])
        warm = Warm(_brought(warm_start, stored, trials, assembly, folder))
        if warm.trials:
            assembly.manager.register(warm, "warm start")
        storage.write_meta({**meta, "warm": packed(warm.trials)} if warm.trials else meta)
        ledger = assembly.ledger(folder=folder, meta=meta)
        search = Search(
            assembly,
            ledger,
            storage,
            executor,
            objects=objects,
            trackers=trackers,
            snapshot_every=snapshot_every,
            recorded=trials,
            baseline=kept_baseline(stored, spec.baseline, kinds),
            warm=warm,
        )
        try:
            with assembly.manager.watched(watchdog):
                search.run()
        finally:
            # A killed run did not write its end, which says as much.
            meta["runs"][-1]["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
            with contextlib.suppress(StorageError):  # a full disk has its own message already
                storage.write_meta({"runs": meta["runs"]})
    finally:
        storage.close()
    study = ledger.result(lambda: assembly)
    study.baseline = search.baseline
    study.opened()
    return study


def _brought(
    path: str | Path | None, stored: Facts, trials: Sequence[Trial], assembly: Assembly, folder: Path | None
) -> list[Trial]:
    """The trials that a study brings along from another one: those in its own file, once it has begun."""
    if stored.get("warm"):
        return unpacked(stored["warm"])
    if path is None:
        return []
    if trials:
        raise SpecError(
            "the study has begun without a warm start",
            where=str(assembly.spec.run.storage),
            fix="leave the warm start out to resume, or give another run.storage to start anew",
        )
    return take(path, assembly.spec, assembly.space, folder)


def make_executor(spec: RunSpec, catalog: Catalog) -> Executor:
    """Returns the executor of a specification, not started.

    Raises:
        UnknownNameError: No plugin announces it.
        PluginError: It lacks something that executors have.
    """
    made: Executor = instantiate("executor", spec.run.executor, catalog, where="run.executor")
    check_members(made, EXECUTOR, spec.run.executor.name, PluginError)
    return made


def load_study(
    path: str | Path,
    *,
    catalog: Catalog | None = None,
    objects: Mapping[str, object] | None = None,
    trust: bool = False,
) -> Study:
    """Opens a study file for reading, also beside a running search.

    The space is there if its plugin is installed (see `study.meta["unavailable"]` for the reason if not). Task,
    evaluator and wrappers, which import torch, are made when somebody asks for the task or builds a network.

    Args:
        path: The study file.
        catalog: Catalog to look slugs up in; default: all installed plugins.
        objects: Ready-made objects by key of the specification, for studies started from Python.
        trust: Whether class paths and plugin files that the study names may run; without, only the components of
            installed plugins are made.

    Raises:
        StorageError: The file is missing, damaged or no study.
    """
    storage = SQLiteStorage(path, writable=False)
    try:
        meta, trials = storage.meta(), storage.trials()
    finally:
        storage.close()
    if "spec" not in meta:
        raise StorageError("this study has no specification", where=str(path), why="it ended before its first trial")
    baseline = read_baseline(meta)
    meta.pop("baseline", None)
    meta.pop("warm", None)
    spec = RunSpec.parse(meta["spec"])
    found: Catalog | None = None
    space: SearchSpace | None = None
    guard: Callable[[], contextlib.AbstractContextManager[None]] = (
        contextlib.nullcontext if trust or not trusted() else untrusted
    )
    try:
        with guard():
            found = catalog or discover(spec.plugins).catalog
            given = (objects or {}).get("space")
            space = given if isinstance(given, SearchSpace) else instantiate("space", spec.space, found, where="space")
            for trial in trials[:1]:
                _check_member(space, trial)
    except NasplugError as error:
        space, meta["unavailable"] = None, str(error)
    ledger = Ledger(
        Setting(
            space=space,
            objectives=spec.objectives,
            constraints=spec.constraints,
            seed=spec.run.seed,
            budget=Budget(spec.budget.epochs),
            folder=artifact_folder(path, meta.get("id")),
            meta=meta,
        )
    )
    ledger.restore(trials)
    if space is None or found is None:
        study = ledger.result()
        study.baseline = baseline
        return study
    parts = found

    def opened() -> Assembly:
        with guard():
            return compose(updated(spec, parts), parts, objects, with_strategy=False)

    study = ledger.result(opened)
    study.baseline = baseline
    return study


def _check_member(space: SearchSpace, trial: Trial) -> None:
    """Refuses a space that is not the one whose architectures the file holds."""
    try:
        space.validate(trial.architecture)
    except Exception as error:  # a stranger's genotype may break any space
        raise StorageError(
            "the architectures in this file are not of the space that it names",
            where=f"trial {trial.number}",
            why=f"{type(error).__name__}: {error}",
            fix="open it with the versions and plugins that wrote it",
        ) from error


def _is_nobodys(stored: Facts, trials: Sequence[Trial], work: Mapping[str, JsonObject], spec: RunSpec) -> bool:
    """Whether a file holds the beginning of another study that never got anywhere, such as one refused by a device."""
    if "spec" not in stored or work or any(trial.finished for trial in trials):
        return False
    return RunSpec.parse(stored["spec"]).fingerprint() != spec.fingerprint()


def _open_meta(
    stored: Facts, assembly: Assembly, catalog: Catalog, objects: Mapping[str, object], *, resume: bool
) -> Facts:
    spec = assembly.spec
    path = spec.run.storage
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if stored:
        if not resume:
            raise StorageError(
                "this file already holds a study",
                where=str(path),
                fix="leave `--fresh` out to resume, or give another path",
            )
        before, after = updated(RunSpec.parse(stored["spec"]), catalog).fingerprint(), spec.fingerprint()
        if before != after:
            raise SpecError(
                "the study in this file belongs to another specification",
                where=str(path),
                why="; ".join(differences(before, after)),
                fix="run the old specification to resume, or give another run.storage to start anew",
            )
    return {
        "id": stored.get("id") or new_identifier(),
        "spec": spec.to_plain(),
        "objects": sorted(objects),
        "objectives": {objective.name: objective.direction for objective in spec.objectives},
        "constraints": [str(constraint) for constraint in spec.constraints],
        "created": stored.get("created", now),
        "samples": stored.get("samples", {}),
        "runs": [*stored.get("runs", ()), {"started": now, "versions": versions(), "machine": machine()}],
    }
