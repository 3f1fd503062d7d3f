"""Settings of continuous growth and pruning, checked before anything trains.

Du, Li and Cao (2019, arXiv 1905.11533) publish the scheme. Of its constants we know the names only: the defaults are
ours. The reference is the network as it is handed over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from nasplug.contract.errors import SpecError

#: Share of the reference's parameters, or limits by name of a size: `params`, `macs`, a key of the hardware target.
Limits: TypeAlias = float | Mapping[str, float]


@dataclass(frozen=True)
class Growth:
    """When a network grows, and by how much.

    Attributes:
        seed: Share of the reference's channels that training starts with.
        min_channels: Smallest number of channels of a group, in the seed and after pruning.
        capacity: Size at which growth ends.
        rate: Share of a group's channels beside which new ones grow, in one step.
        every: Epochs between two steps; 0.5 is twice an epoch.
        until: Share of the training after which growth ends in any case.
        noise: Noise on new channels, in standard deviations of the layer's weights.
        share: Share of a split channel that its readers take from the old one.
    """

    seed: float = 0.25
    min_channels: int = 4
    capacity: Limits = 1.0
    rate: float = 0.5
    every: float = 1.0
    until: float = 0.34
    noise: float = 0.05
    share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("seed", "rate"):
            _inside(self, name, 0.0, 1.0, open_low=True)
        for name in ("share", "until"):
            _inside(self, name, 0.0, 1.0)
        _inside(self, "noise", 0.0, math.inf)
        for name in ("every", "min_channels"):
            _inside(self, name, 0.0, math.inf, open_low=True)
        _check_limits("capacity", self.capacity)
        if self.noise == 0 and self.share == 0.5:
            raise SpecError(
                "new channels would stay copies for ever",
                where="cgap",
                why="without noise and with equal shares, both halves of a split channel get the same gradients",
                fix="set noise above 0, or share to another value than 0.5",
            )


@dataclass(frozen=True)
class Pruning:
    """When weights and channels go, and how many of them.

    Attributes:
        keep: Size to end with; None leaves it to the two shares. What they do not remove until then goes by score.
        weights: Share of every layer's weights that are silent when pruning ends.
        filters: Share of silent weights above which a channel is removed.
        every: Epochs between two steps.
        until: Share of the training after which pruning ends and silent weights train again.
    """

    keep: Limits | None = None
    weights: float = 0.3
    filters: float = 0.5
    every: float = 1.0
    until: float = 0.7

    def __post_init__(self) -> None:
        for name in ("weights", "filters", "until"):
            _inside(self, name, 0.0, 1.0)
        _inside(self, "every", 0.0, math.inf, open_low=True)
        if self.keep is not None:
            _check_limits("keep", self.keep)


@dataclass(frozen=True)
class Settings:
    """All settings.

    Attributes:
        growth: Settings of growth.
        pruning: Settings of pruning.
        residual: Groups that change: `coupled` all of them, `internal` those that a single layer makes, which leaves
            the streams between residual blocks at their width.
        score: Score of channels: `taylor`, `magnitude`, `gradient` or `random`.
        score_batches: Number of batches whose gradients a score averages; 1 is what the authors' later code does.
    """

    growth: Growth = field(default_factory=Growth)
    pruning: Pruning = field(default_factory=Pruning)
    residual: Literal["coupled", "internal"] = "coupled"
    score: Literal["taylor", "magnitude", "gradient", "random"] = "taylor"
    score_batches: int = 4

    def __post_init__(self) -> None:
        _inside(self, "score_batches", 0.0, math.inf, open_low=True)
        if self.pruning.until < self.growth.until:
            raise SpecError(
                f"pruning ends at {self.pruning.until} of the training, before growth does at {self.growth.until}",
                where="cgap",
                fix="set pruning.until to growth.until or above",
            )


def _inside(settings: object, name: str, low: float, high: float, *, open_low: bool = False) -> None:
    value = getattr(settings, name)
    if not (low < value if open_low else low <= value) or value > high or not math.isfinite(value):
        bounds = f"above {low:g}" if open_low else f"at {low:g} or above"
        most = "" if high == math.inf else f" and at most {high:g}"
        raise SpecError(f"{name} lies {bounds}{most}, not at {value}", where=f"cgap, {type(settings).__name__.lower()}")


def _check_limits(name: str, limits: Limits) -> None:
    numbers = limits if isinstance(limits, Mapping) else {"params": limits}
    if not numbers or any(not math.isfinite(value) or value <= 0 for value in numbers.values()):
        raise SpecError(
            f"{name} is a share of the parameters or limits by name, all above 0, not {limits!r}", where="cgap"
        )
