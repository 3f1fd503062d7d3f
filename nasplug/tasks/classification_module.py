"""Training of one classifying network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy

from nasplug.contract.errors import TaskError
from nasplug.contract.wording import plural
from nasplug.tasks.settings import Training, TrainingSettings

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import OptimizerLRScheduler

_WHERE = "ClassificationModule"


class _Mean:
    """Mean loss per image of an epoch, summed on the device.

    One self.log per training step would cost more than the step of a small network.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total: Tensor | float = 0.0
        self.images = 0

    def add(self, loss: Tensor, images: int) -> None:
        self.total = self.total + loss.detach() * images
        self.images += images

    def compute(self) -> Tensor | float:
        return self.total / max(1, self.images)


class ClassificationModule(LightningModule):
    """Trains a network with cross-entropy and scores its accuracy.

    Logs once per epoch: `train_loss`; `val_loss` and `val_acc` in validation; `test_loss` and `test_acc` in a test.
    Losses in validation and test are plain cross-entropies, without smoothing or penalty.

    Args:
        network: Takes float images (N, C, H, W), returns logits (N, num_classes).
        num_classes: Number of classes.
        settings: Optimiser, schedule and losses; None means those of `Training()`.
    """

    def __init__(self, network: nn.Module, num_classes: int, settings: TrainingSettings | None = None) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes
        self.settings: TrainingSettings = settings or Training()
        self.accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self._train_loss = _Mean()
        self._score_loss = _Mean()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of float images (N, C, H, W)."""
        logits: Tensor = self.network(images)
        if logits.shape != (len(images), self.num_classes):
            raise TaskError(
                f"the network returned shape {tuple(logits.shape)} for {plural(len(images), 'image')}",
                where=_WHERE,
                why=f"the task has {plural(self.num_classes, 'class')}, so logits must be "
                f"{(len(images), self.num_classes)}",
            )
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Loss of one batch: images (N, C, H, W) and labels (N,)."""
        images, labels = batch
        loss = cross_entropy(self(images), labels, label_smoothing=self.settings.label_smoothing)
        if self.settings.l2_all:
            squares = [variable.square().sum() for variable in self._trainable()]
            loss = loss + 0.5 * self.settings.weight_decay * torch.stack(squares).sum()
        self._train_loss.add(loss, len(labels))
        return loss

    def on_train_epoch_start(self) -> None:
        """Forgets the sums of an epoch that was cut short."""
        self._train_loss.reset()

    def on_train_epoch_end(self) -> None:
        """Logs `train_loss`."""
        self.log("train_loss", self._train_loss.compute(), on_step=False, on_epoch=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Scores one batch: images (N, C, H, W) and labels (N,)."""
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        """Logs `val_loss` and `val_acc`."""
        self._log_scores("val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Scores one batch: images (N, C, H, W) and labels (N,)."""
        self._score(batch)

    def on_test_epoch_end(self) -> None:
        """Logs `test_loss` and `test_acc`."""
        self._log_scores("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and its schedule if it has one.

        Raises:
            TaskError: Nothing can be trained, or a schedule is asked for and the Trainer has no limit of steps.
        """
        trainable = self._trainable()
        if not trainable:
            raise TaskError("the network has no trainable parameters", where=_WHERE)
        return self.settings.configure(trainable, self)

    def _trainable(self) -> list[nn.Parameter]:
        return [variable for variable in self.parameters() if variable.requires_grad]

    def _score(self, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self(images)
        self._score_loss.add(cross_entropy(logits, labels), len(labels))
        self.accuracy.update(logits, labels)

    def _log_scores(self, stage: str) -> None:
        self.log(f"{stage}_loss", self._score_loss.compute(), on_step=False, on_epoch=True)
        self.log(f"{stage}_acc", self.accuracy.compute(), on_step=False, on_epoch=True)
        self._score_loss.reset()
        self.accuracy.reset()
