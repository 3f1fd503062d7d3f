"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nasplug.contract.errors import TaskError
from nasplug.tasks.curves import cosine, onecycle
from nasplug.tasks.finetuning import parameter_groups
from nasplug.tasks.settings import OptimizerName, ScheduleName, Training

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]


def configure(settings: Training, parameters: Iterable[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
    """Makes the optimiser that the settings name, and its schedule by step.

    Args:
        settings: Settings of the training.
        parameters: Parameters to train.
        module: Module that trains them; its Trainer knows the length of the training.

    Raises:
        TaskError: A schedule is asked for and the Trainer does not have an end.
    """
    optimizer = make_optimizer(_grouped(settings, parameters, module), settings)
    if settings.schedule == "none":
        return optimizer
    scheduler = make_scheduler(settings.schedule, optimizer, total_steps(module.trainer, settings.schedule))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _grouped(settings: Training, parameters: Iterable[nn.Parameter], module: LightningModule) -> Params:
    """The parameters, in groups with rates of their own where the settings ask for that."""
    if settings.layer_decay == 1.0 and settings.head_factor == 1.0:
        return parameters
    network = getattr(module, "network", module)
    assert isinstance(network, nn.Module)
    decay = 0.0 if settings.l2_all else settings.weight_decay
    groups = parameter_groups(network, settings.lr, decay, settings.layer_decay, settings.head_factor)
    known = {id(parameter) for group in groups for parameter in group["params"]}
    rest = [parameter for parameter in parameters if id(parameter) not in known]
    return [*groups, {"params": rest}] if rest else groups


def total_steps(trainer: Trainer, schedule: str) -> int:
    """Returns the number of optimiser steps that a Trainer will make.

    Args:
        trainer: Trainer that is about to train.
        schedule: Schedule that needs to know, for the message.

    Raises:
        TaskError: The Trainer does not have an end.
    """
    steps = trainer.estimated_stepping_batches
    if math.isinf(steps):
        raise TaskError(
            f"the schedule {schedule!r} needs to know the number of epochs",
            where="training",
            fix="give the Trainer max_epochs, or take a schedule that does not change the rate",
        )
    return max(1, int(steps))


def make_optimizer(parameters: Params, settings: Training) -> Optimizer:
    """Makes the optimiser that `settings` name, over the given parameters or groups of them."""
    decay = 0.0 if settings.l2_all else settings.weight_decay
    return _OPTIMIZERS[settings.optimizer](parameters, settings, decay)


_OPTIMIZERS: dict[OptimizerName, Callable[[Params, Training, float], Optimizer]] = {
    "adamw": lambda p, s, decay: torch.optim.AdamW(p, s.lr, weight_decay=decay),
    "adam": lambda p, s, decay: torch.optim.Adam(p, s.lr, weight_decay=decay),
    "nadam": lambda p, s, decay: torch.optim.NAdam(p, s.lr, weight_decay=decay),
    "radam": lambda p, s, decay: torch.optim.RAdam(p, s.lr, weight_decay=decay),
    "adagrad": lambda p, s, decay: torch.optim.Adagrad(p, s.lr, weight_decay=decay),
    "sgd": lambda p, s, decay: torch.optim.SGD(p, s.lr, momentum=s.momentum, weight_decay=decay),
    "nesterov": lambda p, s, decay: torch.optim.SGD(
        p, s.lr, momentum=s.momentum, weight_decay=decay, nesterov=s.momentum > 0
    ),
    "rmsprop": lambda p, s, decay: torch.optim.RMSprop(p, s.lr, alpha=s.decay, momentum=s.momentum, weight_decay=decay),
}

_SCHEDULES: dict[ScheduleName, Callable[[float], float]] = {
    "none": lambda progress: 1.0,
    "cosine": cosine,
    "onecycle": onecycle,
}


def make_scheduler(name: ScheduleName, optimizer: Optimizer, steps: int) -> LambdaLR:
    """Makes a schedule over a number of optimiser steps; "none" keeps the rate.

    It stores no length of its own: a training that is continued with a larger budget goes on at its place in the
    longer curve.
    """
    curve = _SCHEDULES[name]
    return LambdaLR(optimizer, lambda step: curve(min(1.0, step / steps)))
