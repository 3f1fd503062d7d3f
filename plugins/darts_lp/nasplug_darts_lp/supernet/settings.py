"""How a supernet is trained, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_darts_lp.supernet.schedules import Schedule, check_schedule

Optimisation: TypeAlias = Literal["bilevel", "joint"]
OptimizerName: TypeAlias = Literal["sgd", "adam"]
PowerLoss: TypeAlias = Literal["add", "multiply", "hinge"]


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Settings of the training of a supernet; rates and decays of weights are those of DARTS.

    Attributes:
        optimisation: `bilevel` trains the logits on a part of the training data that the weights never see, before
            every step of the weights; `joint` trains both on the same batch with one backward pass.
        order: Of the gradient of the logits in `bilevel`: 1 takes the weights as they are, 2 looks one step ahead.
        optimizer: Of the weights; logits have Adam.
        lr, lr_min: Largest and smallest rate of the weights.
        schedule: Course of the weights' rate.
        momentum: Of sgd.
        weight_decay: Of the weights.
        gradient_clip: Largest norm of the gradient of the weights.
        logits_lr: Largest rate of the logits.
        logits_schedule: Course of the logits' rate.
        logits_weight_decay: Of the logits.
        logits_fraction: Part of the training data for the logits, in `bilevel`.
        warmup: Share of the search in which the logits stay as they are.
        power_weight: Weight of the power in the loss; 0 leaves it out.
        power_loss: With P the power relative to the largest network on 8x8 bits and T the target, the loss is L + w P
            (`add`), L (P / T)^w (`multiply`, as in FBNet) or L + w max(0, P / T - 1) (`hinge`, which stops there).
        power_target: T.

    Raises:
        SpecError: A value out of range.
    """

    optimisation: Optimisation = "bilevel"
    order: int = 1
    optimizer: OptimizerName = "sgd"
    lr: float = 0.025
    lr_min: float = 0.001
    schedule: Schedule = "cosine"
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    logits_lr: float = 0.01
    logits_schedule: Schedule = "inverted"
    logits_weight_decay: float = 1e-3
    logits_fraction: float = 0.5
    warmup: float = 0.1
    power_weight: float = 0.0
    power_loss: PowerLoss = "add"
    power_target: float = 1.0

    def __post_init__(self) -> None:
        where = "darts_lp.search"
        for name, known in (("optimisation", Optimisation), ("optimizer", OptimizerName), ("power_loss", PowerLoss)):
            value = getattr(self, name)
            if value not in get_args(known):
                fix = did_you_mean(str(value), get_args(known))
                raise SpecError(f"there is no {name} {value!r}", where=where, fix=fix)
        check_schedule(self.schedule)
        check_schedule(self.logits_schedule)
        if self.order not in (1, 2) or (self.order == 2 and self.optimisation == "joint"):
            raise SpecError(
                f"order={self.order} with optimisation={self.optimisation}",
                where=where,
                fix="give 1, or 2 with optimisation: bilevel",
            )
        for name in ("lr", "logits_lr", "gradient_clip", "power_target"):
            if not getattr(self, name) > 0:
                raise SpecError(f"{name} is {getattr(self, name)}", where=where, fix="give a number above 0")
        for name in ("lr_min", "momentum", "weight_decay", "logits_weight_decay", "power_weight"):
            if not getattr(self, name) >= 0:
                raise SpecError(f"{name} is {getattr(self, name)}", where=where, fix="give 0 or more")
        if not 0.0 < self.logits_fraction < 1.0 or not 0.0 <= self.warmup < 1.0:
            raise SpecError(
                f"logits_fraction={self.logits_fraction} and warmup={self.warmup} are shares",
                where=where,
                fix="give numbers between 0 and 1",
            )
