"""The optimiser and schedule of a training as plain values, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from nasplug.contract.errors import TaskError
from nasplug.tasks.settings import TrainingSettings, check_choice, check_number

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule
    from pytorch_lightning.utilities.types import OptimizerLRScheduler
    from torch import nn

Schedule: TypeAlias = Literal["constant", "cosine", "cosine500", "special", "cyclic", "swats", "adam2sgd"]
Optimizer: TypeAlias = Literal["momentum", "rmsprop_tf", "rmsprop", "adam", "adamw", "swats", "adam2sgd"]


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingSettings):
    """How a chain is trained. Every field may be a hyperparameter that a strategy evolves or a retraining replaces.

    Only the fields that a schedule and its optimiser know are used. What the search evolved for `constant` therefore
    does no harm in a retraining with another schedule, which takes no more than the weight decay from it, as published.

    Attributes:
        lr: Learning rate of `constant`, and of Adam in `swats` and `adam2sgd`.
        weight_decay: Factor w of the loss term w/2 times the sum of all squared trainable variables, biases and batch
            normalisation included; decoupled for `adamw`.
        momentum: Momentum of `constant`.
        decay: Smoothing of the squared gradients of RMSProp.
        label_smoothing: Fraction of the target that is spread over all classes in training.
        l2_all: Puts the weight decay into the loss instead of the gradient.
        schedule: Course of the learning rate, see `nasplug_qnas.networks.schedules`.
        optimizer: Optimiser, see `nasplug_qnas.networks.optimisers`; None means the schedule's own.
        max_lr: Highest rate of `cosine`, `cosine500`, `special` and `cyclic`.
        base_lr: Lowest rate of `cyclic`.
        half_cycle: Number of steps that `cyclic` rises and falls.
        sgd_momentum: Momentum of SGD in all schedules but `constant`.
        switch_epoch: Epoch in which `adam2sgd` changes to SGD; None means half-way.
        lr_boost: Factor from Adam's learning rate to SGD's in `adam2sgd`.

    Raises:
        TaskError: A value is unknown or out of range.
    """

    momentum: float = 0.0
    decay: float = 0.9
    schedule: Schedule = "constant"
    optimizer: Optimizer | None = None
    max_lr: float = 0.1
    base_lr: float = 0.01
    half_cycle: int = 20
    sgd_momentum: float = 0.9
    switch_epoch: int | None = None
    lr_boost: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("schedule", self.schedule, get_args(Schedule))
        if self.optimizer is not None:
            check_choice("optimizer", self.optimizer, get_args(Optimizer))
        for name in ("max_lr", "base_lr", "lr_boost"):
            check_number(name, getattr(self, name), positive=True)
        check_number("sgd_momentum", self.sgd_momentum, below=1.0)
        check_number("half_cycle", self.half_cycle, positive=True, whole=True)
        if self.switch_epoch is not None:
            check_number("switch_epoch", self.switch_epoch, whole=True)
        if self.base_lr > self.max_lr and self.schedule == "cyclic":
            raise TaskError(f"base_lr={self.base_lr:g} is above max_lr={self.max_lr:g}", where="training")

    def configure(self, parameters: Sequence[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
        """Makes the optimiser, and its schedule if it has one.

        Raises:
            TaskError: The Trainer does not have an end, which a schedule must know.
        """
        from nasplug_qnas.training.configure import configure

        return configure(self, parameters, module)

    def arguments(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the hyperparameters for `nasplug_qnas.networks.configure` under this schedule.

        Args:
            known: Hyperparameters that the optimiser has.
        """
        if self.schedule == "constant":
            lr, momentum = self.lr, self.momentum
        elif self.schedule in ("swats", "adam2sgd"):
            lr, momentum = self.lr, self.sgd_momentum
        else:
            lr, momentum = self.max_lr, self.sgd_momentum
        chosen = {
            "lr": lr,
            "decay": self.decay,
            "momentum": momentum,
            "lr_boost": self.lr_boost,
            "weight_decay": 0.0 if self.l2_all else self.weight_decay,
        }
        arguments: dict[str, Any] = {name: value for name, value in chosen.items() if name in known}
        if self.schedule == "cyclic":
            del arguments["lr"]
            arguments |= {"base_lr": self.base_lr, "max_lr": self.max_lr, "half_cycle": int(self.half_cycle)}
        elif "switch_step" in known and self.switch_epoch is not None:
            arguments["switch_epoch"] = int(self.switch_epoch)
        return arguments
