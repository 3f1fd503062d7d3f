"""Training of one network whose answers a head judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from nasplug.contract.errors import TaskError
from nasplug.contract.wording import plural
from nasplug.tasks.finetuning import Freezing
from nasplug.tasks.heads import Head
from nasplug.tasks.settings import Training, TrainingSettings

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


class MeanLoss:
    """Mean loss per sample of an epoch, summed on the device.

    One self.log per training step would cost more than the step of a small network.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins a new epoch."""
        self.total: Tensor | float = 0.0
        self.samples = 0

    def add(self, loss: Tensor, samples: int) -> None:
        """Adds the mean loss of a batch of so many samples."""
        self.total = self.total + loss.detach() * samples
        self.samples += samples

    def compute(self) -> Tensor | float:
        """Returns the mean."""
        return self.total / max(1, self.samples)


class SupervisedModule(LightningModule):
    """Trains a network with the loss of a head, and logs its figures.

    Logs once per epoch: `train_loss`; `val_loss` and the head's figures as `val_...` in validation; the same as
    `test_...` in a test. Losses in validation and test are without smoothing, weights of classes or penalty.

    Args:
        network: Takes float inputs (N, ...), returns answers (N, outputs).
        head: Meaning of the answers.
        outputs: Number of answers per sample.
        settings: Optimiser, schedule and losses; None means those of `Training()`.
    """

    def __init__(self, network: nn.Module, head: Head, outputs: int, settings: TrainingSettings | None = None) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.outputs = outputs
        self.settings: TrainingSettings = settings or Training()
        self._freezing = Freezing(network, getattr(self.settings, "frozen_epochs", 0))
        self._train_loss = MeanLoss()
        self._score_loss = MeanLoss()

    @property
    def confusion(self) -> list[list[int]] | None:
        """Counts of the last validation or test: row by true class, column by answered class; None without classes."""
        return self.head.confusion

    def forward(self, inputs: Tensor) -> Tensor:
        """Answers (N, outputs) of float inputs (N, ...)."""
        answers: Tensor = self.network(inputs)
        if answers.shape != (len(inputs), self.outputs):
            raise TaskError(
                f"the network returned shape {tuple(answers.shape)} for {plural(len(inputs), 'input')}",
                where=type(self).__name__,
                why=f"the task has {plural(self.outputs, 'output')}, so answers must be {(len(inputs), self.outputs)}",
            )
        return answers

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Loss of one batch: inputs (N, ...) and targets (N,) or (N, outputs)."""
        inputs, targets = batch
        loss = self.head.loss(self(inputs), targets, self.settings.label_smoothing)
        if self.settings.l2_all:
            squares = [variable.square().sum() for variable in self._trainable()]
            loss = loss + 0.5 * self.settings.weight_decay * torch.stack(squares).sum()
        self._train_loss.add(loss, len(targets))
        return loss

    def on_train_epoch_start(self) -> None:
        """Forgets the sums of an epoch that was cut short; freezes or releases the backbone."""
        self._train_loss.reset()
        self._freezing.start(self.current_epoch)

    def on_train_end(self) -> None:
        """Releases the backbone."""
        self._freezing.end()

    def on_train_epoch_end(self) -> None:
        """Logs `train_loss`."""
        self.log("train_loss", self._train_loss.compute(), on_step=False, on_epoch=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Scores one batch: inputs (N, ...) and targets."""
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        """Logs `val_loss` and the figures of the head."""
        self._log_scores("val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Scores one batch: inputs (N, ...) and targets."""
        self._score(batch)

    def on_test_epoch_end(self) -> None:
        """Logs `test_loss` and the figures of the head."""
        self._log_scores("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and its schedule if it has one.

        Raises:
            TaskError: Nothing can be trained, or a schedule is asked for and the Trainer does not have an end.
        """
        trainable = self._trainable()
        if not trainable:
            raise TaskError("the network has no trainable parameters", where=type(self).__name__)
        return self.settings.configure(trainable, self)

    def _trainable(self) -> list[nn.Parameter]:
        return [variable for variable in self.parameters() if variable.requires_grad]

    def _score(self, batch: tuple[Tensor, Tensor]) -> None:
        inputs, targets = batch
        answers = self(inputs)
        self._score_loss.add(self.head.plain_loss(answers, targets), len(targets))
        self.head.update(answers, targets)

    def _log_scores(self, stage: str) -> None:
        self.log(f"{stage}_loss", self._score_loss.compute(), on_step=False, on_epoch=True)
        for name, value in self.head.compute().items():
            self.log(f"{stage}_{name}", value, on_step=False, on_epoch=True)
        self._score_loss.reset()
