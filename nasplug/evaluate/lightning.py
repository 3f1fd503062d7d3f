"""The evaluator that trains: one Lightning Trainer per trial."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

# Loaded with this module, and so with the composition of a run: seeds and threads are set before the first network is
# built only if torch is there already.
import torch

from nasplug.contract.errors import SpecError, TrialError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Evaluation, Measurement, Trial
from nasplug.evaluate.recorder import Recorder
from nasplug.evaluate.scoring import ScoreName, Scoring
from nasplug.evaluate.trainer import DEFAULTS, PRECISIONS, as_checkpoint, check_options, fit, lightning_of, place, quiet
from nasplug.evaluate.weights import FILE_NAME, save_weights
from nasplug.ledger.artifacts import check_artifact
from nasplug.ledger.study import Study
from nasplug.run.seeding import seed_everything

Keep = Literal["best", "last", "none"]


class LightningEvaluator:
    """Trains each network with the task's LightningModule and data, and answers every metric the module logs.

    The epochs come from the budget, the device from `run.device`, seeds from the trial. Metrics are measured once per
    epoch, at steps 1, 2, ..., and shown to the stoppers. A training whose loss is not finite fails at the end of that
    epoch.

    Args:
        score: Which epochs make the result: all metrics of the epoch that is best by the first measured objective, of
            the last epoch, or the mean of each metric.
        window: Only the last so many epochs count, for example 5; None means all.
        keep: Which weights are written: of the best epoch that counts, of the last one, or none.
        precision: The Trainer's: 32-true, 16-mixed, bf16-mixed, ...
        trainer: Further options of the Trainer, such as `{gradient_clip_val: 1.0, limit_train_batches: 100}`.

    Raises:
        SpecError: An unknown option, or one that the run decides elsewhere.
    """

    needs_task = True

    def __init__(
        self,
        score: ScoreName = "best",
        window: int | None = None,
        keep: Keep = "best",
        precision: str = "32-true",
        trainer: Mapping[str, Any] | None = None,
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
        check_options(self.trainer, "evaluator.trainer")

    @hookimpl
    def evaluate(self, study: Study, trial: Trial) -> Evaluation:
        """Trains the trial.

        Raises:
            TrialError: The loss is not finite, nothing was measured, or the parent's training cannot be continued.
            SpecError: The device is not there.
        """
        with quiet():
            return self._evaluate(study, trial)

    def _evaluate(self, study: Study, trial: Trial) -> Evaluation:
        assert study.task is not None  # `needs_task`, checked when the run is composed
        context = study.context
        epochs = study.budget_of(trial).epochs
        options = {**DEFAULTS, **self.trainer, **place("auto" if context is None else context.device)}
        if context is not None:
            torch.set_num_threads(context.threads)
        if options["accelerator"] == "gpu":
            gc.collect()  # what earlier trials left in reference cycles holds memory of the device
        parent = _parent_checkpoint(study, trial)

        network = study.build(trial)
        module = study.task.module(network, trial.hyperparameters)
        data = study.task.datamodule()
        lightning = lightning_of(module)

        def report(earlier: tuple[Measurement, ...], measurement: Measurement) -> str | None:
            if context is None:
                return None
            return context.report(study, trial.with_(measurements=earlier), measurement)

        recorder = as_checkpoint(Recorder, lightning)(
            network, study.objectives, self.scoring, keeps_best=self.keep == "best", report=report
        )
        callbacks = [] if context is None else context.callbacks(study, trial)
        if options["logger"] or callbacks:  # who may write files
            options.setdefault("default_root_dir", study.artifacts(trial))
        trainer = lightning.Trainer(
            **options, max_epochs=epochs, precision=self.precision, callbacks=[*callbacks, recorder]
        )
        seed_everything(trial.seed)
        if epochs == 0:
            fit(trainer, lambda: trainer.validate(module, datamodule=data, verbose=False))
            recorder.on_untrained(trainer)
        else:
            more = {} if parent is None else {"ckpt_path": str(parent), "weights_only": True}
            fit(trainer, lambda: trainer.fit(module, datamodule=data, **more))
        _check(recorder, epochs, parent)
        checkpointed = context is not None and context.keeps_checkpoints
        return Evaluation(
            artifacts=self._write(study, trial, network, recorder, trainer if checkpointed else None),
            metrics=recorder.result(),
            measurements=tuple(recorder.measurements),
            network=network,
            pruned=recorder.pruned,
        )

    def _write(self, study: Study, trial: Trial, network: Any, recorder: Recorder, trainer: Any) -> dict[str, str]:
        """Writes checkpoint and weights, in this order: keeping the best weights ends the training for good."""
        written: dict[str, Path] = {}
        if trainer is not None:
            written["checkpoint"] = study.artifacts(trial) / "last.ckpt"
            trainer.save_checkpoint(written["checkpoint"], weights_only=False)
        if recorder.best_weights is not None:
            network.load_state_dict(recorder.best_weights)
        if self.keep != "none" and recorder.pruned is None:
            written["weights"] = study.artifacts(trial) / FILE_NAME
            save_weights(network, written["weights"])
        return {name: path.relative_to(study.artifacts()).as_posix() for name, path in written.items()}


def _parent_checkpoint(study: Study, trial: Trial) -> Path | None:
    if trial.proposal.parent is None:
        return None
    parent = study.trial(trial.proposal.parent)
    name = parent.artifacts.get("checkpoint")
    if name is None or not (study.artifacts() / name).is_file():
        raise TrialError(
            "error",
            f"it continues trial {parent.number}, which has no checkpoint",
            where=f"trial {trial.number}",
            why=f"trial {parent.number} is {parent.state}"
            + ("" if name is None else f" and its file {name!r} is missing"),
            fix="a strategy that proposes parents sets `keeps_checkpoints = True`, and proposes complete ones",
        )
    check_artifact(parent, "checkpoint", study.artifacts() / name)
    return study.artifacts() / name


def _check(recorder: Recorder, epochs: int, parent: Path | None) -> None:
    if recorder.not_finite is not None:
        raise TrialError("nan", f"the training loss was not finite in epoch {recorder.not_finite}")
    if not recorder.measurements:
        hint = ", all of which its parent trained already" if parent is not None else ""
        raise TrialError(
            "metric",
            f"nothing was measured in {epochs} epochs{hint}",
            why="no training batch, or no validation was due",
            fix="check the data, budget.epochs and check_val_every_n_epoch",
        )
