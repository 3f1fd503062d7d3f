"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nasplug.tasks.settings import OptimizerName, ScheduleName, TrainingSettings

#: Share of the steps in which "onecycle" rises, and the divisors of its first and last rate (Smith & Topin,
#: arXiv 1708.07120, with the values of torch's OneCycleLR).
_RISE, _FIRST, _LAST = 0.3, 25.0, 25.0 * 1e4


def make_optimizer(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> Optimizer:
    """Makes the optimiser that `settings` name, over the given parameters."""
    decay = 0.0 if settings.l2_all else settings.weight_decay
    return _OPTIMIZERS[settings.optimizer](parameters, settings, decay)


_OPTIMIZERS: dict[OptimizerName, Callable[[Iterable[nn.Parameter], TrainingSettings, float], Optimizer]] = {
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


def cosine(progress: float) -> float:
    """Factor of the learning rate: half a cosine from 1 to 0 (Loshchilov & Hutter, arXiv 1608.03983, no restarts).

    Args:
        progress: Share of the steps that are done, 0 to 1.
    """
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def onecycle(progress: float) -> float:
    """Factor of the learning rate: from 1/25 up to 1 in the first 30 %, then down to nearly 0, both on half cosines.

    Args:
        progress: Share of the steps that are done, 0 to 1.
    """
    if progress < _RISE:
        return 1.0 + (1.0 / _FIRST - 1.0) * cosine(progress / _RISE)
    return 1.0 / _LAST + (1.0 - 1.0 / _LAST) * cosine((progress - _RISE) / (1.0 - _RISE))


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
