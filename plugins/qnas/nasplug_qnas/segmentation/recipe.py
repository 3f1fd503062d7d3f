"""How SegQNAS trains, as plain values checked without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.errors import TaskError
from nasplug.tasks.settings import TrainingSettings, check_number

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule
    from pytorch_lightning.utilities.types import OptimizerLRScheduler
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class SegRecipe(TrainingSettings):
    """Adam with a rate that falls by epoch: `end_lr + (lr - end_lr) * (1 - epoch / epochs) ** power`.

    Attributes:
        lr: Learning rate of the first epoch.
        end_lr: Rate that the schedule approaches.
        power: Exponent of the schedule.
        weight_decay: L2 penalty added to the gradient; the published loss term of 1e-6 has twice that as its gradient.

    Raises:
        TaskError: A value is out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 2e-6
    end_lr: float = 1e-4
    power: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("end_lr", self.end_lr)
        check_number("power", self.power, positive=True)
        if self.end_lr > self.lr:
            raise TaskError(f"end_lr={self.end_lr:g} is above lr={self.lr:g}", where="training")

    def factor(self, epoch: int, epochs: int) -> float:
        """Returns the rate of an epoch over that of the first one.

        Args:
            epoch: Epoch, counted from 0.
            epochs: Number of epochs.
        """
        left = max(0.0, 1.0 - epoch / epochs)
        return float((self.end_lr + (self.lr - self.end_lr) * left**self.power) / self.lr)

    def configure(self, parameters: Sequence[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
        """Makes Adam and its schedule.

        Raises:
            TaskError: The Trainer does not have an end.
        """
        import torch

        epochs = module.trainer.max_epochs
        if not epochs or epochs < 0:
            raise TaskError("the schedule needs the number of epochs", where="training", fix="set budget.epochs")
        decay = 0.0 if self.l2_all else self.weight_decay
        optimizer = torch.optim.Adam(parameters, lr=self.lr, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: self.factor(epoch, epochs))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}
