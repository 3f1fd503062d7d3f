"""Tests of `nasplug_darts_lp.spaces.cell.cost`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.supernet.options import SupernetOptions

SHAPE = (3, 16, 16)


def test_expected_cost_of_cells_is_the_mean_over_all_networks():
    operations = ("skip_connect", "sep_conv_3x3", "dil_conv_5x5")
    space = CellSpace(channels=2, layers=3, nodes=1, operations=operations, weight_bits=(1, 4), activation_bits=(2, 8))
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions())
    weights = supernet.logits.probabilities()
    for name, values in weights.items():  # every network has two operations, and `none` is none of them
        weights[name] = (
            values.new_zeros(4).index_fill_(0, torch.tensor([1, 2, 3]), 1 / 3)
            if name.endswith("op")
            else (torch.full_like(values, 1 / len(values)))
        )
    costs = [float(supernet.cost(supernet.weights_of(architecture))) for architecture in space]
    assert float(supernet.cost(weights)) == pytest.approx(sum(costs) / len(costs), rel=1e-4)
