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


BITS = LayersSpace(
    width=0.125, blocks=1, operations=("conv",), kernels=(3,), weight_bits=(1, 4), activation_bits=(2, 8)
)


def with_logits(**logits):
    supernet = BITS.supernet((1, 8, 8), 10, SupernetOptions())
    with torch.no_grad():
        for name, values in logits.items():
            getattr(supernet.logits, name).copy_(torch.tensor(values))
    supernet(torch.randn(4, 1, 8, 8))
    return supernet


def cost_in_loss(supernet, **settings):
    module = SupernetModule(supernet, nn.Module(), SearchSettings(cost=CostSettings(**settings)), 10)
    return module.with_cost(torch.zeros(()))


def test_a_network_that_is_too_cheap_costs_as_well():
    supernet = with_logits()
    cost = float(supernet.cost(supernet.mixing_weights))
    assert float(cost_in_loss(supernet, weight=3.0, loss="two_sided", target=2 * cost)) == 1.5
    assert abs(float(cost_in_loss(supernet, weight=3.0, loss="two_sided", target=cost / 2)) - 3.0) < 1e-5


def test_the_cost_of_the_derived_network_has_the_gradient_of_the_probabilities():
    names = [name for name, size in BITS.supernet((1, 8, 8), 10, SupernetOptions()).logits.sizes.items() if size == 2]
    supernet = with_logits(**{name: [0.1, 0.0] for name in names})
    first, _ = next(iter(supernet.ranked()))
    wanted = float(supernet.cost(supernet.weights_of(first)))
    value = cost_in_loss(supernet, weight=1.0, loss="add", priced="derived")

    assert abs(float(value.detach()) - wanted) < 1e-6
    assert abs(float(cost_in_loss(supernet, weight=1.0, loss="add").detach()) - wanted) > 1e-3
    value.backward()
    gradients = [getattr(supernet.logits, name).grad for name in names if "bits" in name]
    assert all(float(gradient[0]) < 0 < float(gradient[1]) for gradient in gradients)
