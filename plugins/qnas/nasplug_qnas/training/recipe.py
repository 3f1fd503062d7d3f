"""The optimiser and schedule of a training as plain values, checked without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, TypeAlias, get_args

from nasplug.contract.errors import TaskError, did_you_mean

Scheme: TypeAlias = Literal["constant", "cosine", "cosine500", "special", "cyclic", "swats", "adam2sgd"]
Optimiser: TypeAlias = Literal["momentum", "rmsprop_tf", "rmsprop", "adam", "adamw", "swats", "adam2sgd"]

_WHERE = "training recipe"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a chain is trained. Every field may be a hyperparameter that a strategy evolves or a retraining replaces.

    Only the fields that a scheme and its optimiser know are used. What the search evolved for `constant` therefore
    does no harm in a retraining with another scheme, which takes no more than the weight decay from it, as published.

    Attributes:
        scheme: Course of the learning rate, see `nasplug_qnas.networks.schedules`.
        optimiser: See `nasplug_qnas.networks.optimisers`; None means the scheme's own.
        lr: Learning rate of `constant`, and of Adam in `swats` and `adam2sgd`.
        decay: Smoothing of the squared gradients of RMSProp.
        momentum: Momentum of `constant`.
        weight_decay: Factor w of the loss term w/2 times the sum of all squared trainable variables, biases and batch
            normalisation included; decoupled for `adamw`.
        max_lr: Highest rate of `cosine`, `cosine500`, `special` and `cyclic`.
        base_lr: Lowest rate of `cyclic`.
        half_cycle: Steps that `cyclic` rises and falls.
        sgd_momentum: Momentum of SGD in all schemes but `constant`.
        switch_epoch: Epoch in which `adam2sgd` changes to SGD; None means half-way.
        lr_boost: Factor from Adam's learning rate to SGD's in `adam2sgd`.

    Raises:
        TaskError: A value is unknown or out of range.
    """

    scheme: Scheme = "constant"
    optimiser: Optimiser | None = None
    lr: float = 1e-3
    decay: float = 0.9
    momentum: float = 0.0
    weight_decay: float = 1e-4
    max_lr: float = 0.1
    base_lr: float = 0.01
    half_cycle: int = 20
    sgd_momentum: float = 0.9
    switch_epoch: int | None = None
    lr_boost: float = 10.0

    def __post_init__(self) -> None:
        for name, known in (("scheme", get_args(Scheme)), ("optimiser", get_args(Optimiser))):
            value = getattr(self, name)
            if value not in known and not (name == "optimiser" and value is None):
                raise TaskError(f"there is no {name} {value!r}", where=_WHERE, fix=did_you_mean(str(value), known))
        for name in ("lr", "max_lr", "base_lr", "lr_boost"):
            self._check(name, "above 0", lambda number: 0.0 < number < math.inf)
        for name in ("decay", "momentum", "sgd_momentum"):
            self._check(name, "at least 0 and below 1", lambda number: 0.0 <= number < 1.0)
        self._check("weight_decay", "at least 0", lambda number: 0.0 <= number < math.inf)
        self._check("half_cycle", "a whole number of at least 1", lambda number: number >= 1 and number % 1 == 0)
        if self.switch_epoch is not None:
            self._check("switch_epoch", "a whole number of at least 0", lambda number: number >= 0 and number % 1 == 0)
        if self.base_lr > self.max_lr and self.scheme == "cyclic":
            raise TaskError(f"base_lr={self.base_lr:g} is above max_lr={self.max_lr:g}", where=_WHERE)

    def _check(self, name: str, what: str, holds: Any) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
            raise TaskError(f"{name} is {value!r}", where=_WHERE, why=f"it must be {what}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names that a strategy or a retraining may use."""
        return tuple(field.name for field in fields(cls))

    def with_(self, hyperparameters: Mapping[str, Any]) -> Self:
        """A copy with some values replaced; the names must be among `names`."""
        return replace(self, **hyperparameters)

    def arguments(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The hyperparameters for `nasplug_qnas.networks.configure` under this scheme.

        Args:
            known: Hyperparameters that the optimiser has.
        """
        if self.scheme == "constant":
            chosen = {"lr": self.lr, "decay": self.decay, "momentum": self.momentum, "lr_boost": self.lr_boost}
        elif self.scheme in ("swats", "adam2sgd"):
            chosen = {"lr": self.lr, "decay": self.decay, "momentum": self.sgd_momentum, "lr_boost": self.lr_boost}
        else:
            chosen = {"lr": self.max_lr, "decay": self.decay, "momentum": self.sgd_momentum, "lr_boost": self.lr_boost}
        chosen["weight_decay"] = self.weight_decay
        arguments: dict[str, Any] = {name: value for name, value in chosen.items() if name in known}
        if self.scheme == "cyclic":
            del arguments["lr"]
            arguments |= {"base_lr": self.base_lr, "max_lr": self.max_lr, "half_cycle": int(self.half_cycle)}
        elif "switch_step" in known and self.switch_epoch is not None:
            arguments["switch_epoch"] = int(self.switch_epoch)
        return arguments
