"""What a space makes a supernet with. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from nasplug_darts_lp.supernet.cost import BitOperations, CostModel
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.settings import SupernetSettings


@dataclass(frozen=True, slots=True)
class SupernetOptions:
    """What a space makes a supernet with.

    Attributes:
        mixing: Rule that makes mixing weights, with the schedule of the temperature.
        settings: Form of the supernet.
        cost: Cost model of a convolution.
    """

    mixing: Mixing = field(default_factory=Mixing)
    settings: SupernetSettings = field(default_factory=SupernetSettings)
    cost: CostModel = field(default_factory=BitOperations)
