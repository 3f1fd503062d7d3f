"""The numbers and names a training is told, checked without torch so that a bad one is refused before anything runs.

Records without slots, which jsonargparse cannot read.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from nasplug.contract.errors import TaskError, did_you_mean

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule
    from pytorch_lightning.utilities.types import OptimizerLRScheduler
    from torch import nn


OptimizerName = Literal["adamw", "adam", "nadam", "radam", "adagrad", "sgd", "nesterov", "rmsprop"]
ScheduleName = Literal["none", "cosine", "onecycle"]
ClassWeights = Literal["none", "balanced"]

_WHERE = "training"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(ABC):
    """What every training of a classifier is told, whichever optimisers and schedules it knows.

    Every field of a subclass may be a hyperparameter that a strategy proposes. A task for another set of optimisers is
    an `ImageClassification` with settings of its own.

    Attributes:
        lr: Learning rate.
        weight_decay: Weight decay.
        momentum: Momentum of the optimisers that have one.
        decay: Smoothing constant of rmsprop's squared gradients (torch calls it alpha).
        label_smoothing: Fraction of the target that is spread over all classes in training.
        l2_all: Adds `weight_decay * sum(v ** 2) / 2` over all trainable variables v, biases and normalisation
            included, to the training loss, and turns the optimiser's own weight decay off.
        class_weights: Weights of the classes in the training loss: none, or balanced, which gives rare classes the
            weight of frequent ones (for labels that may be right together: rare labels that of absent ones).

    Raises:
        TaskError: A value is unknown, of the wrong type or out of range.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    decay: float = 0.99
    label_smoothing: float = 0.0
    l2_all: bool = False
    class_weights: ClassWeights = "none"

    def __post_init__(self) -> None:
        check_choice("class_weights", self.class_weights, get_args(ClassWeights))
        check_number("lr", self.lr, positive=True)
        check_number("weight_decay", self.weight_decay)
        for name in ("momentum", "decay", "label_smoothing"):
            check_number(name, getattr(self, name), below=1.0)
        if not isinstance(self.l2_all, bool):
            raise TaskError(f"l2_all must be true or false, got {self.l2_all!r}", where=_WHERE)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Returns the names that a strategy may use."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def check_names(cls, names: Iterable[str], where: str) -> None:
        """Refuses hyperparameters that training does not take.

        Args:
            names: Names of hyperparameters.
            where: Name of the task, for the message.

        Raises:
            TaskError: One of the names is unknown.
        """
        known = cls.names()
        for name in names:
            if name not in known:
                raise TaskError(f"there is no hyperparameter {name!r}", where=where, why=did_you_mean(name, known))

    def with_(self, hyperparameters: Mapping[str, Any]) -> Self:
        """Returns a copy with some values replaced; the names must be among `names`."""
        return replace(self, **hyperparameters)

    @abstractmethod
    def configure(self, parameters: Sequence[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
        """Makes the optimiser and its schedule, in a form that `LightningModule.configure_optimizers` may return.

        Args:
            parameters: Parameters to train.
            module: Module that trains them; its Trainer knows the length of the training.

        Raises:
            TaskError: The schedule needs the length of the training, and the Trainer does not have an end.
        """


@dataclass(frozen=True, kw_only=True)
class Training(TrainingSettings):
    """How a classifier is trained, by the optimisers of torch.

    Attributes:
        lr: Learning rate, the highest of the schedule.
        weight_decay: Decoupled for adamw, an L2 penalty added to the gradient for the others.
        momentum: Momentum of sgd, nesterov and rmsprop.
        decay: Smoothing constant of rmsprop's squared gradients (torch calls it alpha).
        label_smoothing: Fraction of the target that is spread over all classes in training.
        l2_all: Puts the weight decay into the loss, over all trainable variables.
        class_weights: Weights of the classes in the training loss: none, or balanced.
        optimizer: Name of the optimiser. Each takes what it knows of the other fields and ignores the rest.
        schedule: Course of the learning rate, by step.
        layer_decay: Factor of the learning rate from each layer to the one before it, such as 0.75 for fine-tuning.
        head_factor: Factor of the head's learning rate.
        frozen_epochs: Number of epochs at the start in which the head alone is trained.

    Raises:
        TaskError: A value is unknown, of the wrong type or out of range.
    """

    optimizer: OptimizerName = "adamw"
    schedule: ScheduleName = "cosine"
    layer_decay: float = 1.0
    head_factor: float = 1.0
    frozen_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        check_choice("schedule", self.schedule, get_args(ScheduleName))
        check_number("layer_decay", self.layer_decay, positive=True, at_most=1.0)
        check_number("head_factor", self.head_factor, positive=True)
        check_number("frozen_epochs", self.frozen_epochs, whole=True)

    def configure(self, parameters: Sequence[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
        """Makes the optimiser, and its schedule by step.

        Raises:
            TaskError: A schedule is asked for and the Trainer does not have an end.
        """
        from nasplug.tasks.optimizers import configure

        return configure(self, parameters, module)


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Returns the weight of each class: its mean count over its own, so that all classes together weigh alike.

    Args:
        counts: Number of training samples of each class.
    """
    present = [count for count in counts if count]
    return [sum(present) / (len(present) * count) if count else 0.0 for count in counts]


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuses a name that is not known.

    Raises:
        TaskError: The value is not among the known ones.
    """
    if value not in known:
        raise TaskError(f"there is no {name} {value!r}", where=_WHERE, why=did_you_mean(str(value), known))


def check_number(
    name: str,
    value: object,
    *,
    positive: bool = False,
    below: float = math.inf,
    at_most: float = math.inf,
    whole: bool = False,
) -> None:
    """Refuses what is not a finite number in a range.

    Args:
        name: Name of the field.
        value: Value of the field.
        positive: Whether it must be > 0 and not only >= 0.
        below: Value that it must stay below.
        at_most: Largest value.
        whole: Whether it must be an integer.

    Raises:
        TaskError: It is not.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = number and 0.0 <= value < below and value <= at_most and not (positive and value == 0.0)  # type: ignore[operator]
    if not fits or (whole and value % 1 != 0):  # type: ignore[operator]
        span = ("more than 0" if positive else "at least 0") + (
            f" and at most {at_most:g}" if at_most < below else "" if math.isinf(below) else f" and less than {below:g}"
        )
        kind = "an integer" if whole else "a finite number"
        raise TaskError(f"{name} is {value!r}", where=_WHERE, why=f"it must be {kind}, {span}")
