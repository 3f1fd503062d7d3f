"""Tests of `nasplug_darts_lp.spaces.layers.cost`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.cost import BitOperations
from nasplug_darts_lp.supernet.options import SupernetOptions

SHAPE = (3, 16, 16)


def test_expected_cost_is_the_mean_over_all_networks():
    space = LayersSpace(width=0.25, blocks=1, kernels=(3, 5), weight_bits=(1, 4), activation_bits=(2,))
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions(cost=BitOperations(0.1, 0.2)))
    for logits in supernet.logits.parameters():
        logits.data.normal_()
    weights = supernet.logits.probabilities()
    total = certainty = 0.0
    for architecture in space:
        probability = 1.0
        for choice, index in zip(space.choices, space.vector(architecture), strict=True):
            probability *= float(weights[choice.name][index])
        total += probability * float(supernet.cost(supernet.weights_of(architecture)))
        certainty += probability
    assert certainty == pytest.approx(1.0, abs=1e-5)
    assert float(supernet.cost(weights)) == pytest.approx(total, rel=1e-5)
