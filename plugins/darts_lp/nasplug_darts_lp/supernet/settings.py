"""Settings of a search, in the groups in which a specification gives them.

Records of plain data, which need no torch; without slots, which jsonargparse cannot read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_darts_lp.supernet.schedules import Schedule, check_schedule

Optimisation: TypeAlias = Literal["bilevel", "joint"]
OptimizerName: TypeAlias = Literal["sgd", "adam"]
Scaling: TypeAlias = Literal["none", "gradient", "normalise", "importance"]
CostLoss: TypeAlias = Literal["add", "multiply", "hinge", "two_sided"]
Priced: TypeAlias = Literal["sample", "derived"]

_WHERE = "darts_lp.search"


@dataclass(frozen=True)
class SupernetSettings:
    """The form of a supernet.

    Attributes:
        shared: One convolution for all kernel sizes and bit widths, or one for every combination.
        scaling: Forward-and-backward scaling where candidates are added up: `none`, `gradient`, `normalise` or
            `importance`.
        activations: Activation quantiser of shared convolutions: `shared` (one range for all bit widths) or a kind of
            the plugin's quantisers, with one for every width.
        weights: Kind of the weight quantisers.
        partial: Divisor of the channels that go through the candidates of a cell's edge, as in PC-DARTS; 1 sends all.

    Raises:
        SpecError: A value out of range.
    """

    shared: bool = True
    scaling: Scaling = "none"
    activations: str = "shared"
    weights: str = "uniform"
    partial: int = 1

    def __post_init__(self) -> None:
        _check_names(self, scaling=Scaling)
        if self.partial < 1:
            raise SpecError(f"partial must be >= 1, got {self.partial}", where=_WHERE)


@dataclass(frozen=True)
class TrainingSettings:
    """The training of a supernet's weights; rates and decay are those of DARTS.

    Attributes:
        optimisation: `bilevel` trains the logits on a part of the training data that the weights never see, before
            every step of the weights; `joint` trains both on the same batch with one backward pass.
        order: Order of the logits' gradient in `bilevel`: 1 takes the weights as they are, 2 looks one step ahead.
        optimizer: Optimiser of the weights, `sgd` or `adam`; logits have Adam.
        lr: Largest learning rate.
        lr_min: Smallest learning rate.
        schedule: Course of the learning rate: `cosine`, `constant` or `inverted`.
        momentum: Momentum of sgd.
        weight_decay: Weight decay.
        gradient_clip: Largest norm of the gradient.

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

    def __post_init__(self) -> None:
        _check_names(self, optimisation=Optimisation, optimizer=OptimizerName)
        check_schedule(self.schedule)
        if self.order not in (1, 2) or (self.order == 2 and self.optimisation == "joint"):
            raise SpecError(
                f"order={self.order} with optimisation={self.optimisation}",
                where=_WHERE,
                fix="give 1, or 2 with optimisation: bilevel",
            )
        _check_positive(self, "lr", "gradient_clip")
        _check_not_negative(self, "lr_min", "momentum", "weight_decay")


@dataclass(frozen=True)
class LogitsSettings:
    """The training of the architecture parameters, by Adam.

    Attributes:
        lr: Largest learning rate.
        schedule: Course of the learning rate: `inverted`, `constant` or `cosine`.
        weight_decay: Weight decay.
        fraction: Fraction of the training data that the logits learn from, in `bilevel`.
        warmup: Fraction of the search in which the logits stay as they are.

    Raises:
        SpecError: A value out of range.
    """

    lr: float = 0.01
    schedule: Schedule = "inverted"
    weight_decay: float = 1e-3
    fraction: float = 0.5
    warmup: float = 0.1

    def __post_init__(self) -> None:
        check_schedule(self.schedule)
        _check_positive(self, "lr")
        _check_not_negative(self, "weight_decay")
        if not 0.0 < self.fraction < 1.0:
            raise SpecError(f"fraction must be > 0 and < 1, got {self.fraction}", where=_WHERE)
        if not 0.0 <= self.warmup < 1.0:
            raise SpecError(f"warmup must be >= 0 and < 1, got {self.warmup}", where=_WHERE)


@dataclass(frozen=True)
class CostSettings:
    """The cost of networks in the loss, relative to the largest network on 8x8 bits.

    Attributes:
        model: Cost model of a convolution: `bits`, `mpic`, `target` (the run's hardware target), `target:KEY` (one of
            its estimates), or a table such as `{w4a4: 0.25, w8a8: 1.0}`.
        weight: Weight w of the cost in the loss; 0 leaves it out.
        loss: Form of the loss, with C the cost and T the target: L + w C (`add`), L (C / T)^w (`multiply`, as in FBNet)
            L + w max(0, C / T - 1) (`hinge`, which stops there) or L + w |C / T - 1| (`two_sided`, which also asks a
            network that is too cheap to use up the target).
        target: Target T.
        range: Smallest and largest cost of the networks to derive. The most probable network between them is found by
            dynamic programming where costs add up over layers, and otherwise sought among the 20,000 most probable.
        priced: Network whose cost C is: `sample`, the mixture or sample that the loss was computed with, or `derived`,
            the most probable one, with the gradient of the probabilities. A mixture may keep to a target that the
            network derived from it misses by far.

    Raises:
        SpecError: A value out of range.
    """

    model: str | Mapping[str, float] = "bits"
    weight: float = 0.0
    loss: CostLoss = "add"
    target: float = 1.0
    range: tuple[float, float] | None = None
    priced: Priced = "sample"

    def __post_init__(self) -> None:
        _check_names(self, loss=CostLoss, priced=Priced)
        _check_not_negative(self, "weight")
        _check_positive(self, "target")


@dataclass(frozen=True)
class SearchSettings:
    """How a supernet is trained.

    Attributes:
        training: Training of its weights.
        logits: Training of its logits.
        cost: Cost of networks in the loss of the logits.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    logits: LogitsSettings = field(default_factory=LogitsSettings)
    cost: CostSettings = field(default_factory=CostSettings)


def _check_names(settings: Any, **known: Any) -> None:
    for name, alias in known.items():
        value = getattr(settings, name)
        if value not in get_args(alias):
            raise SpecError(f"unknown {name} {value!r}", where=_WHERE, fix=did_you_mean(str(value), get_args(alias)))


def _check_positive(settings: Any, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) > 0:
            raise SpecError(f"{name} must be > 0, got {getattr(settings, name)}", where=_WHERE)


def _check_not_negative(settings: Any, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) >= 0:
            raise SpecError(f"{name} must be >= 0, got {getattr(settings, name)}", where=_WHERE)
