"""A training of one batch: what a rehearsal does with a Trainer that is otherwise that of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, TaskError, TrialError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.lightning.distribution import overrides

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

    from nasplug.evaluate.trialrun import TrialRun

#: Number of batches after which a network that has not changed will not change any more.
PATIENCE = 16


@dataclass(frozen=True, slots=True)
class Short:
    """How short a training is.

    Attributes:
        whole: Whether validation takes all batches.
    """

    whole: bool = False


class Ending:
    """Ends a training with the first batch that changes the network. A mixin for Lightning's `Callback`.

    A step may change nothing: gradients are accumulated, a warm-up begins with a learning rate of 0, the optimisers of
    a GAN take turns. So there may be some more of them.

    Args:
        changed: Function that says whether the network has changed.
        recorder: Callback that measures, the one checkpoint callback that stays.
    """

    def __init__(self, changed: Callable[[], bool], recorder: object) -> None:
        super().__init__()
        self._changed, self._recorder = changed, recorder

    def setup(self, trainer: Any, module: LightningModule, stage: str) -> None:
        """Leaves out what would write checkpoints, the module's own callbacks included."""
        trainer.callbacks[:] = [c for c in trainer.callbacks if c is self._recorder or not is_checkpoint(c)]

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Stops the Trainer; validation follows."""
        if batch_idx + 1 >= PATIENCE or self._changed():
            trainer.should_stop = True


def short_options(options: Mapping[str, Any], lightning: ModuleType, folder: Path, *, whole: bool) -> dict[str, Any]:
    """Returns the options of a Trainer for a short training that writes only into a folder.

    Args:
        options: Options of the Trainer of a trial.
        lightning: Distribution of Lightning.
        folder: Folder for what callbacks write.
        whole: Whether validation takes all batches.
    """
    made = {**options, "default_root_dir": folder, "profiler": None}
    if options.get("limit_val_batches") != 0 and not whole:
        made["limit_val_batches"] = 1
    if options.get("check_val_every_n_epoch", 1) is not None:
        made["check_val_every_n_epoch"] = 1
    if options["logger"]:  # a logger would leave files, or a run on a server
        made["logger"] = lightning.loggers.logger.DummyLogger()
    return made


def check_validation(options: Mapping[str, Any], epochs: int) -> None:
    """Refuses trials that would end before their first validation.

    Args:
        options: Options of the Trainer of a trial.
        epochs: Number of epochs of the trial.

    Raises:
        TrialError: No epoch of the trial would be validated.
    """
    every = options.get("check_val_every_n_epoch") or 1
    if 0 < epochs < every:
        raise TrialError(
            "metric",
            f"validation comes every {plural(every, 'epoch')}, and a trial has {epochs}",
            where="evaluator.trainer",
            fix="raise budget.epochs, or lower check_val_every_n_epoch",
        )


def is_checkpoint(callback: object) -> bool:
    """Returns whether a callback writes checkpoints, of either distribution of Lightning.

    Args:
        callback: Callback of a Trainer.
    """
    return any(base.__name__ == "Checkpoint" and ".callbacks" in base.__module__ for base in type(callback).__mro__)


def explained(error: Exception, trainer: Trainer) -> Exception:
    """Returns an error of a short training, with the reason if the data are a data set in place of a loader of it.

    Some data sets give whole batches, so that this is wrong only if the training fails.

    Args:
        error: Error that the training raised.
        trainer: Trainer of the training.
    """
    if isinstance(error, NasplugError):
        return error
    for hook, loaders in (("train_dataloader", trainer.train_dataloader), ("val_dataloader", trainer.val_dataloaders)):
        for loader in _each(loaders):
            if any(base.__name__ == "Dataset" for base in type(loader).__mro__):
                return TaskError(
                    f"{hook} gives a {type(loader).__name__}, which is not a loader: it has no batches",
                    where="data",
                    why=f"the training fails with its samples: {type(error).__name__}: {error}",
                    fix="wrap it: torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)",
                )
    return error


def check_schedules(trainer: Trainer) -> None:
    """Refuses schedules that follow a metric which nobody logs: Lightning says so only when an epoch has ended.

    Args:
        trainer: Trainer after the training.

    Raises:
        TaskError: The metric is unknown.
    """
    for config in trainer.lr_scheduler_configs:
        metric = config.monitor
        if config.reduce_on_plateau and config.strict and metric and metric not in trainer.callback_metrics:
            logged = sorted(trainer.callback_metrics)
            raise TaskError(
                f"a learning rate schedule follows {metric!r}, which the module does not log",
                where="configure_optimizers",
                why=f"it logs {', '.join(logged) or 'no metric at all'}",
                fix=f"name another one as monitor. {did_you_mean(metric, logged)}",
            )


def note_validation(run: TrialRun, trainer: Trainer, module: LightningModule) -> None:
    """Notes that nothing was validated although the module could: then what it logs there is missing.

    Args:
        run: Trial that is rehearsed.
        trainer: Trainer after the training.
        module: Module that was trained.
    """
    if overrides(module, "validation_step") and not any(trainer.num_val_batches):
        run.hints.append("there are no validation data: give them a val_dataloader with at least one batch")


def _each(loaders: Any) -> Iterator[Any]:
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    if isinstance(loaders, (list, tuple)):
        for item in loaders:
            yield from _each(item)
    elif loaders is not None:
        yield loaders
