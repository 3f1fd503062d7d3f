"""The numbers and names a training is told, checked without torch so that a bad one is refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from nasplug.contract.errors import TaskError, did_you_mean

OptimizerName = Literal["adamw", "adam", "nadam", "radam", "adagrad", "sgd", "nesterov", "rmsprop"]
ScheduleName = Literal["none", "cosine", "onecycle"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a classifier is trained. Every field may be a hyperparameter that a strategy proposes.

    Attributes:
        lr: Learning rate, the highest of the schedule.
        weight_decay: Decoupled for adamw, an L2 penalty added to the gradient for the others.
        optimizer: Name of the optimiser. Each takes what it knows of the other fields and ignores the rest.
        momentum: Momentum of sgd, nesterov and rmsprop.
        decay: Smoothing constant of rmsprop's squared gradients (torch calls it alpha).
        schedule: Course of the learning rate, by step.
        label_smoothing: Share of the target that is spread over all classes in training.
        l2_all: Adds `weight_decay * sum(v ** 2) / 2` over all trainable variables v, biases and normalisation
            included, to the training loss, and turns the optimiser's own weight decay off.

    Raises:
        TaskError: A value is unknown, of the wrong type or out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4
    optimizer: OptimizerName = "adamw"
    momentum: float = 0.9
    decay: float = 0.99
    schedule: ScheduleName = "cosine"
    label_smoothing: float = 0.0
    l2_all: bool = False

    def __post_init__(self) -> None:
        _check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        _check_choice("schedule", self.schedule, get_args(ScheduleName))
        _check_number("lr", self.lr, positive=True)
        _check_number("weight_decay", self.weight_decay)
        _check_number("momentum", self.momentum, below=1.0)
        _check_number("decay", self.decay, below=1.0)
        _check_number("label_smoothing", self.label_smoothing, below=1.0)
        if not isinstance(self.l2_all, bool):
            raise TaskError(f"l2_all is {self.l2_all!r}, neither true nor false", where="training")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names a strategy may use."""
        return tuple(field.name for field in fields(cls))

    def with_(self, hyperparameters: Mapping[str, Any]) -> Self:
        """A copy with some values replaced; the names must be among `names`."""
        return replace(self, **hyperparameters)


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise TaskError(f"there is no {name} {value!r}", where="training", why=did_you_mean(str(value), known))


def _check_number(name: str, value: object, *, positive: bool = False, below: float = math.inf) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0.0 <= value < below or (positive and value == 0.0):  # type: ignore[operator]
        span = ("more than 0" if positive else "at least 0") + (
            "" if math.isinf(below) else f" and less than {below:g}"
        )
        raise TaskError(f"{name} is {value!r}", where="training", why=f"it must be a finite number, {span}")
