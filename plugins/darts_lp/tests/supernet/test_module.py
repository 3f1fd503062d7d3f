"""Tests of `nasplug_darts_lp.supernet.module`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.module import SupernetModule
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    SearchSettings,
)
from torch import nn

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)


def test_a_budget_that_is_kept_costs_nothing():
    supernet = SPACE.supernet((1, 8, 8), 10, SupernetOptions())
    settings = SearchSettings(cost=CostSettings(weight=3.0, loss="hinge", target=2.0))
    module = SupernetModule(supernet, nn.Module(), settings, 10)
    supernet(torch.randn(4, 1, 8, 8))
    assert float(module.with_cost(torch.tensor(1.25)).detach()) == 1.25
