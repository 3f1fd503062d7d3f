"""Experiment loggers of Lightning by name: one run for each trial, grouped by study."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from filelock import FileLock

from nasplug.contract.errors import MissingExtraError, SpecError, did_you_mean
from nasplug.contract.jsondata import Json
from nasplug.contract.records import BASELINE

if TYPE_CHECKING:
    from types import ModuleType

    from pytorch_lightning.loggers import Logger

    from nasplug.evaluate.trialrun import TrialRun

#: Name of a logger, a mapping of it to its arguments, or a function that makes one for a trial.
LoggerLike: TypeAlias = "str | Mapping[str, Json] | Callable[[TrialRun], Logger]"

#: Class in `lightning.loggers`, and the packages that it needs, one of them.
NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "csv": ("CSVLogger", ()),
    "tensorboard": ("TensorBoardLogger", ("tensorboard", "tensorboardX")),
    "mlflow": ("MLFlowLogger", ("mlflow", "mlflow_skinny")),
    "wandb": ("WandbLogger", ("wandb",)),
}
#: Arguments that name the run of a trial, which nobody else may give.
_OURS = frozenset({"version", "run_name", "run_id", "id", "experiment_name", "group", "experiment"})


class Loggers:
    """Makes the loggers of a trial.

    Args:
        given: Loggers as the specification or a Python caller gives them.

    Raises:
        SpecError: An unknown name, or arguments of another form.
        MissingExtraError: The package of a logger is not installed.
    """

    def __init__(self, given: Sequence[LoggerLike]) -> None:
        if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
            raise SpecError(f"expected a list, got {given!r:.100}", where=_WHERE, fix="write loggers: [tensorboard]")
        self._makers = [_maker(item) for item in given]

    def __bool__(self) -> bool:
        return bool(self._makers)

    def of(self, run: TrialRun, lightning: ModuleType) -> list[Logger]:
        """Returns new loggers for a trial, which know what is trained.

        Args:
            run: The trial.
            lightning: Distribution of Lightning.
        """
        if not self._makers:
            return []
        facts = {"trial": run.number, "architecture": run.study.label(run.trial), "seed": run.trial.seed}
        folder = run.study.artifacts()
        folder.mkdir(parents=True, exist_ok=True)
        # The first one may make a database or an experiment, which two workers cannot do at a time.
        with FileLock(folder / "loggers.lock"):
            made = [make(run, lightning) for make in self._makers]
            for logger in made:
                logger.log_hyperparams({**facts, **run.trial.hyperparameters})
        return made


@contextlib.contextmanager
def finished(loggers: Sequence[Logger]) -> Iterator[None]:
    """Ends runs that belong to the process behind a training, so that the next trial begins its own.

    The Trainer ends those that belong to a logger.
    """
    try:
        yield
    finally:
        for logger in loggers:
            if type(logger).__name__ == NAMES["wandb"][0]:
                getattr(getattr(logger, "experiment", None), "finish", lambda: None)()


def study_name(run: TrialRun) -> str:
    """Returns the name under which the trials of a study stand together: that of its file, without its ending."""
    folder = run.study.artifacts()
    name = folder.parent.name if folder.parent.name.endswith(".files") else folder.name
    return name.removesuffix(".files").removesuffix(".sqlite")


def run_name(run: TrialRun) -> str:
    """Returns the name of a trial among those of its study: `trial-00003`, or `baseline`."""
    return "baseline" if run.number == BASELINE else f"trial-{run.number:05d}"


_WHERE = "evaluator.loggers"
_Maker: TypeAlias = "Callable[[TrialRun, ModuleType], Logger]"


def _maker(item: LoggerLike) -> _Maker:
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, Mapping):
        if callable(item) and not hasattr(item, "log_metrics"):
            function = item
            return lambda run, _: function(run)
        raise SpecError(
            f"{type(item).__name__} would write all trials into one run",
            where=_WHERE,
            fix=f"give a name ({', '.join(NAMES)}), or a function that makes a logger for a trial",
        )
    if len(item) != 1:
        raise SpecError(f"cannot read {dict(item)!r:.200}", where=_WHERE, fix="write {name: {argument: value}}")
    ((name, given),) = item.items()
    if name not in NAMES:
        raise SpecError(f"there is no logger {name!r}", where=_WHERE, fix=did_you_mean(name, NAMES))
    arguments = {} if given is None else given
    if not isinstance(arguments, Mapping):
        raise SpecError(f"cannot read {given!r:.200}", where=f"{_WHERE}.{name}", fix="write {argument: value}")
    taken = sorted(_OURS & set(arguments))
    if taken:
        raise SpecError(
            f"the argument {taken[0]!r} names the run, which is that of the trial",
            where=f"{_WHERE}.{name}",
            fix="leave it out; `study` names what the runs stand under",
        )
    _check_package(name)
    return lambda run, lightning: _made(name, dict(arguments), run, lightning)


def _check_package(name: str) -> None:
    needed = NAMES[name][1]
    if needed and not any(importlib.util.find_spec(package) for package in needed):
        raise MissingExtraError(
            f"{needed[0]} is needed for the logger {name!r}, and is not installed", fix=f"pip install {needed[0]}"
        )


def _made(name: str, given: dict[str, Any], run: TrialRun, lightning: ModuleType) -> Logger:
    study, trial = str(given.pop("study", None) or study_name(run)), run_name(run)
    folder = Path(given.pop("folder", None) or run.study.artifacts() / "logs")
    shown = f"{trial} {run.study.label(run.trial)}"
    more: dict[str, Any]
    if name in ("csv", "tensorboard"):
        more = {"save_dir": str(folder), "name": study, "version": trial}
    elif name == "mlflow":
        more = {"experiment_name": study, "run_name": shown, "tracking_uri": f"file:{folder / 'mlruns'}"}
        more["tags"] = {"study": study, **given.pop("tags", {})}
    else:
        folder.mkdir(parents=True, exist_ok=True)
        more = {"project": "nasplug", "group": study, "name": shown, "save_dir": str(folder)}
    factory = getattr(lightning.loggers, NAMES[name][0])
    try:
        made: Logger = factory(**{**more, **given})
        return made
    except TypeError as error:
        raise SpecError(
            f"the logger {name!r} cannot be made with {sorted(given)}", where=_WHERE, why=str(error)
        ) from error
