"""The callback that watches a trial's training: measures, reports, keeps the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasplug.contract.records import Measurement, Objective
from nasplug.evaluate.scoring import Best, Scoring, main_objective
from nasplug.evaluate.weights import Snapshot, Structure, snapshot, structure
from nasplug.lightning.ddp import averaged, everywhere

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
    from pytorch_lightning.utilities.types import STEP_OUTPUT

#: Takes a new measurement; answers why to stop, or None.
Report = Callable[[Measurement], str | None]

#: What validation saw: the structure of the network, and a copy of its weights if they may be the best.
_Seen = tuple[Structure, Snapshot | None]


class Recorder:
    """Measures every epoch. A mixin for the `Checkpoint` callback of the Lightning at hand.

    Metrics are read when an epoch is over, after everybody has logged. Weights are copied behind the first batch of a
    validation: before it, a callback may exchange them (averaged weights), and after it, give the others back or change
    the network. A callback that changes its structure makes all earlier epochs incomparable:
    scoring begins anew.

    Where several processes train the network, all of them decide alike: metrics are means over them, and the reason to
    stop is what the first one was told.

    Args:
        network: Network in training.
        objectives: Objectives of the study; the first one that is measured says which epoch is best.
        scoring: Rule for the epochs that count.
        keeps_best: Whether to copy weights.
        report: Told of every measurement.
        epochs: Number of epochs after which the training ends, where that is before the Trainer's own end.

    Attributes:
        measurements: One per epoch; steps count completed epochs, from 1.
        pruned: Reason why `report` stopped the training, or None.
        not_finite: The epoch in which the training loss was not finite, or None.
    """

    def __init__(
        self,
        network: nn.Module,
        objectives: Sequence[Objective],
        scoring: Scoring,
        *,
        keeps_best: bool,
        report: Report,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        self.measurements: list[Measurement] = []
        self.pruned: str | None = None
        self.not_finite: int | None = None
        self._network, self._objectives, self._scoring = network, tuple(objectives), scoring
        self._keeps_best, self._report, self._epochs = keeps_best, report, epochs
        self._best: Best[Snapshot] = Best(scoring.window)
        self._structure: Structure | None = None
        self._first = 0
        self._losses: Tensor | float = 0.0
        self._seen: _Seen | None = None
        self._validated: Snapshot | None = None

    # -- Lightning's hooks ---------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Adds up losses on the device: the sum is finite only if all of them are."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self._losses = loss.detach() + self._losses

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Copies the weights that are validated; whether they are wanted is known when the validation has ended."""
        if self._keeps_best and self._validated is None and not trainer.sanity_checking:
            self._validated = snapshot(self._network)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Takes the copied weights if the epoch may turn out to be the best one."""
        if not trainer.sanity_checking:
            self._seen = self._look(averaged(numbers(trainer.callback_metrics)), self._validated)
            self._validated = None

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Measures, reports and stops. As a Checkpoint, it runs after the hooks of the module and other callbacks."""
        step = trainer.current_epoch + 1
        last = (trainer.max_epochs or math.inf) if self._epochs is None else self._epochs
        if step >= last:
            trainer.should_stop = True
        losses = self._losses.float().sum().item() if isinstance(self._losses, Tensor) else self._losses
        self._losses = 0.0
        if not all(everywhere(math.isfinite(losses))):
            self.not_finite = step
            trainer.should_stop = True
            return
        if trainer.enable_validation and self._seen is None:
            return  # validation is not due in this epoch, and its metrics are those of an earlier one
        metrics = averaged(numbers(trainer.callback_metrics))
        self._measure(step, metrics, self._seen or self._look(metrics))
        self._seen = None
        reason = everywhere(self._report(self.measurements[-1]))[0]
        if reason is not None and step < last:  # at the end there is nothing to stop
            self.pruned = reason
            trainer.should_stop = True

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Leaves out constructor arguments: the task makes the module anew, and only plain data may be loaded."""
        for owner in (module, getattr(trainer, "datamodule", None)):
            for key in ("CHECKPOINT_HYPER_PARAMS_KEY", "CHECKPOINT_HYPER_PARAMS_NAME", "CHECKPOINT_HYPER_PARAMS_TYPE"):
                checkpoint.pop(getattr(owner, key, ""), None)

    # -- for the evaluator ---------------------------------------------------------------------------------------

    def on_untrained(self, trainer: Trainer) -> None:
        """Takes the metrics of a validation without training as step 0."""
        metrics = averaged(numbers(trainer.callback_metrics))
        self._measure(0, metrics, self._look(metrics))

    def result(self) -> dict[str, float]:
        """The metrics of the whole training; needs a measurement."""
        return self._scoring.result(self.measurements[self._first :], self._best.step)

    @property
    def best_weights(self) -> Snapshot | None:
        """The weights of the best epoch that counts, None if they were not kept."""
        return self._best.kept

    def _look(self, metrics: Mapping[str, float], validated: Snapshot | None = None) -> _Seen:
        now = structure(self._network.state_dict() if validated is None else validated)
        value = self._value(metrics)
        # The objective may be logged only when the epoch ends.
        wanted = now != self._structure or self._best.wants(value) or (validated is not None and math.isnan(value))
        if not self._keeps_best or not wanted:
            return now, None
        return now, snapshot(self._network) if validated is None else validated

    def _measure(self, step: int, metrics: dict[str, float], seen: _Seen) -> None:
        now, kept = seen
        if self._structure is not None and now != self._structure:
            self._best.clear()
            self._first = len(self.measurements)
        self._structure = now
        self.measurements.append(Measurement(step, metrics))
        value = self._value(metrics)
        if kept is None and self._keeps_best and self._best.wants(value):
            kept = snapshot(self._network)  # the objective was not known yet when validation ended
        self._best.offer(step, value, kept)

    def _value(self, metrics: Mapping[str, float]) -> float:
        objective = main_objective(self._objectives, metrics)
        return math.nan if objective is None else objective.sign * metrics[objective.name]


def numbers(metrics: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Lightning's metrics as plain numbers, those of several elements left out."""
    values = {name: torch.as_tensor(value) for name, value in metrics.items()}
    return {name: value.item() for name, value in values.items() if value.numel() == 1}
