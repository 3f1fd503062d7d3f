"""The evaluator that trains: one Lightning Trainer per trial."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

# Loaded with this module, and so with the composition of a run: seeds and threads are set before the first network is
# built only if torch is there already.
import torch

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Evaluation, Measurement
from nasplug.contract.wording import plural
from nasplug.evaluate.inside import Watching
from nasplug.evaluate.loggers import LoggerLike, Loggers, finished
from nasplug.evaluate.recorder import Recorder
from nasplug.evaluate.schedules import Continuing
from nasplug.evaluate.scoring import ScoreName, Scoring
from nasplug.evaluate.short import (
    Ending,
    Short,
    check_schedules,
    check_validation,
    explained,
    is_checkpoint,
    note_validation,
    short_options,
)
from nasplug.evaluate.structure import check_kept, check_unchanged, structure
from nasplug.evaluate.trainer import (
    DEFAULTS,
    PRECISIONS,
    as_callback,
    as_checkpoint,
    check_options,
    check_precision,
    device_options,
    fit,
    quiet,
)
from nasplug.evaluate.trialrun import TrialRun
from nasplug.evaluate.weights import FILE_NAME, read_tensors, save_weights
from nasplug.ledger.artifacts import check_artifact
from nasplug.lightning.ddp import Alike, join
from nasplug.lightning.distribution import data_for, lightning_of
from nasplug.lightning.divided import divide
from nasplug.run.seeding import seed_everything

if TYPE_CHECKING:
    from pytorch_lightning import Trainer
    from torch import Tensor, nn


Keep = Literal["best", "last", "none"]


class LightningEvaluator:
    """Trains each network with the task's LightningModule and data, and answers every metric the module logs.

    The epochs come from the budget, the device from `run.device`, seeds from the trial. Metrics are measured once per
    epoch, at steps 1, 2, ..., and shown to the stoppers. A training whose loss is not finite fails at the end of that
    epoch. A trial on several devices (`run.gpus: 2`) is trained with DDP, by a process for each.

    Args:
        score: Epochs that make the result: all metrics of the epoch that is best by the first measured objective, of
            the last epoch, or the mean of each metric.
        window: Number of last epochs that count, for example 5; None means all.
        keep: Weights to write: those of the best epoch that counts, of the last one, or none.
        precision: The Trainer's: 32-true, 16-mixed, bf16-mixed, ...
        trainer: Further options of the Trainer, such as `{gradient_clip_val: 1.0, limit_train_batches: 100}`.
        loggers: Loggers of Lightning by name, `csv`, `tensorboard`, `mlflow` and `wandb`, each with one run per trial.
            They change no trial.

    Raises:
        SpecError: An unknown option, or one that the run decides elsewhere.
    """

    needs_task = True
    one_process_per_device = True

    def __init__(
        self,
        score: ScoreName = "best",
        window: int | None = None,
        keep: Keep = "best",
        precision: str = "32-true",
        trainer: JsonObject | None = None,
        loggers: Sequence[LoggerLike] = (),
    ) -> None:
        self.scoring = Scoring(score, window)
        if keep not in ("best", "last", "none"):
            raise SpecError(f"cannot keep {keep!r}", where="evaluator.keep", fix="write best, last or none")
        if precision not in PRECISIONS:
            raise SpecError(
                f"there is no precision {precision!r}",
                where="evaluator.precision",
                fix=did_you_mean(precision, PRECISIONS),
            )
        self.keep, self.precision = keep, precision
        self.trainer = dict(trainer or {})
        self.loggers = Loggers(loggers)
        if hasattr(self.trainer.get("logger"), "log_metrics"):
            raise SpecError(
                f"one {type(self.trainer['logger']).__name__} would write all trials into one run",
                where="evaluator.trainer.logger",
                fix="name it in the evaluator's option `loggers`, which has a run for each trial: docs/loggers.md",
            )
        check_options(self.trainer, "evaluator.trainer")

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Trains the trial.

        Raises:
            TrialError: The loss is not finite, nothing was measured, or the parent's training cannot be continued.
            TaskError: The module does not train the network.
            SpecError: The device is not there, or does not have the precision.
        """
        backend = "nccl" if run.device.startswith("cuda") else "gloo"
        with quiet(), run.ranks.together(backend):
            return self._evaluate(run)

    def rehearse(self, run: TrialRun, *, whole: bool = False) -> Evaluation:
        """Trains until the network has changed, usually one batch, and validates one batch; writes nothing.

        Args:
            run: Trial whose network and hyperparameters are tried.
            whole: Whether to validate on all batches, for metrics that one batch does not have.

        Raises:
            TrialError: As for `evaluate`.
            TaskError: As for `evaluate`.
            SpecError: As for `evaluate`.
        """
        with quiet():
            return self._evaluate(run, Short(whole))

    def _evaluate(self, run: TrialRun, short: Short | None = None) -> Evaluation:
        epochs, seed, first = run.budget.epochs, run.trial.seed, run.ranks.rank == 0
        where = "rehearsal" if short is not None else f"trial {run.number}"
        options = {**DEFAULTS, **self.trainer, **device_options(run.device, several=run.ranks.several)}
        check_precision(self.precision, str(options["accelerator"]))
        torch.set_num_threads(run.threads)
        if options["accelerator"] == "gpu":
            gc.collect()  # what earlier trials left in reference cycles holds memory of the device
        inherits = None if short is not None else run.trial.proposal.inherits
        parent = _parent_checkpoint(run) if inherits is not None and inherits.mode == "training" else None

        network = run.network
        before = structure(network)
        if inherits is not None and inherits.mode == "weights":
            run.inherit(network, parent_weights(run))
        callbacks = run.callbacks()  # before the module, which may copy the weights that a plugin puts in
        given = structure(network)
        module = run.task.module(network, run.trial.task_hyperparameters)
        check_kept(given, structure(network), type(run.task).__name__)
        lightning = lightning_of(module)
        data = data_for(run.data(), module, lightning)
        watching = as_callback(Watching, lightning)(
            network, type(run.task).__name__, getattr(run.task, "network_attribute", None)
        )
        recorder = as_checkpoint(Recorder, lightning)(
            network,
            run.study.objectives,
            self.scoring,
            keeps_best=self.keep == "best" and short is None and first,
            report=run.report if short is None and first else _say_nothing,
            epochs=epochs,
        )
        loggers = self.loggers.of(run, lightning) if short is None else []
        options["logger"] = loggers or bool(self.loggers) or options["logger"]
        if options["logger"] or callbacks:  # who may write files
            options.setdefault("default_root_dir", run.folder)
        around: list[object] = [watching]
        if short is not None:
            check_validation(options, epochs)
            options = short_options(options, lightning, run.folder, whole=short.whole)
            callbacks = [item for item in callbacks if not is_checkpoint(item)]
            around.append(as_callback(Ending, lightning)(watching.look, recorder))
        if parent is not None:
            around.append(as_callback(Continuing, lightning)())
        if run.ranks.several:
            options |= join(run.ranks, lightning)
            divide(data, run.ranks)
            around.append(as_callback(Alike, lightning)())
        trainer = lightning.Trainer(
            **options,
            max_epochs=run.budget.total or epochs,
            precision=self.precision,
            callbacks=[*around, *callbacks, recorder],
        )
        seed_everything(seed if first else run.seed(f"rank-{run.ranks.rank}"))
        with finished(loggers):
            if epochs == 0:
                fit(trainer, lambda: trainer.validate(module, datamodule=data, verbose=False))
                recorder.on_untrained(trainer)
            else:
                more = {} if parent is None else {"ckpt_path": str(parent), "weights_only": True}
                try:
                    fit(trainer, lambda: trainer.fit(module, datamodule=data, **more))
                except Exception as error:
                    if short is None or (better := explained(error, trainer)) is error:
                        raise
                    raise better from error
        _check(recorder, epochs, parent)
        if not run.edits:  # before the next: a layer that was exchanged is why an optimiser does not have it
            check_unchanged(before, structure(network), where)
        watching.check(module)
        if short is not None:
            note_validation(run, trainer, module)
            check_schedules(trainer)
            return Evaluation(recorder.result(), network=network)
        if run.edits:
            edited = run.trial.with_(edits=run.trial.edits + tuple(run.edits))
            check_unchanged(structure(run.rebuilt(edited)), structure(network), where, edited=True)
        return Evaluation(
            artifacts=self._write(run, network, recorder, trainer if run.keeps_checkpoints else None),
            metrics=recorder.result(),
            measurements=tuple(recorder.measurements),
            network=network,
            pruned=recorder.pruned,
            edits=tuple(run.edits),
        )

    def _write(self, run: TrialRun, network: nn.Module, recorder: Recorder, trainer: Trainer | None) -> dict[str, str]:
        """Writes checkpoint and weights, in this order: keeping the best weights ends the training for good."""
        written: dict[str, Path] = {}
        if trainer is not None:
            written["checkpoint"] = run.folder / "last.ckpt"
            trainer.save_checkpoint(written["checkpoint"], weights_only=False)
        if run.ranks.rank:
            return {}
        if recorder.best_weights is not None:
            network.load_state_dict(recorder.best_weights)
        if self.keep != "none" and recorder.pruned is None:
            written["weights"] = run.folder / FILE_NAME
            save_weights(network, written["weights"])
        return {name: run.artifact(path) for name, path in written.items()}


def _say_nothing(measurement: Measurement) -> str | None:
    """A rehearsal is not a trial: nobody watches it, and no pruner is asked."""
    return None


def _parent_checkpoint(run: TrialRun) -> Path:
    fix = "a strategy that continues trainings sets `keeps_checkpoints = True`, and continues complete trials only"
    return _parent_file(run, "checkpoint", fix)


def parent_weights(run: TrialRun) -> dict[str, Tensor]:
    """Returns the trained weights of the trial that a trial starts from, for `run.inherit`.

    Args:
        run: Trial that inherits with the mode `weights`.

    Raises:
        TrialError: The earlier trial kept no weights, or the file is missing.
        StudyError: The file is not the one that the earlier trial wrote.
    """
    path = _parent_file(run, "weights", "start from complete trials whose evaluator keeps weights (`keep: best`)")
    return read_tensors(path)


def _parent_file(run: TrialRun, kind: str, fix: str) -> Path:
    parent = run.parent
    assert parent is not None
    source = run.study
    name = parent.artifacts.get(kind)
    path = source.artifacts() / (name or "")
    if name is None or not path.is_file():
        raise TrialError(
            "error",
            f"it {'continues' if kind == 'checkpoint' else 'starts from'} trial {parent.number}, which has no {kind}",
            where=f"trial {run.number}",
            why=f"trial {parent.number} is {parent.state}"
            + ("" if name is None else f" and its file {name!r} is missing"),
            fix=fix,
        )
    check_artifact(parent, kind, path)
    return path


def _check(recorder: Recorder, epochs: int, parent: Path | None) -> None:
    if recorder.not_finite is not None:
        raise TrialError("nan", f"the training loss was not finite in epoch {recorder.not_finite}")
    if not recorder.measurements:
        hint = ", all of which its parent trained already" if parent is not None else ""
        raise TrialError(
            "metric",
            f"nothing was measured in {plural(epochs, 'epoch')}{hint}",
            why="no training batch, or no validation was due",
            fix="check the data, budget.epochs and check_val_every_n_epoch",
        )
