"""Tests of `nasplug_darts_lp.supernet.lookahead`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.lookahead import second_order
from nasplug_darts_lp.supernet.module import SupernetModule
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import (
    SearchSettings,
    TrainingSettings,
)
from torch import nn

import nasplug as nas

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)
TASK = nas.ImageClassification(limit=60, batch_size=16)


class Quadratic(nn.Module):
    """L_train = (w - a)^2 / 2 and L_val = (w - 1)^2 / 2 + a b w: everything about them is known."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.logits = nn.ParameterList([nn.Parameter(torch.tensor([0.3], dtype=torch.float64))])

    def network_parameters(self):
        return [self.w]


class Losses:
    settings = SearchSettings(TrainingSettings(order=2, weight_decay=0.0, momentum=0.9))

    def __init__(self, supernet):
        self.supernet = supernet
        self.weight_optimizer = torch.optim.SGD([supernet.w], lr=0.1, momentum=0.9)

    def loss(self, batch, index):
        w, a = self.supernet.w, self.supernet.logits[0]
        return ((w - a) ** 2 / 2).sum() if batch == "train" else ((w - 1) ** 2 / 2 + 0.7 * a * w).sum()

    def with_cost(self, loss):
        return loss


def test_the_second_order_gradient_is_that_of_the_step_ahead():
    supernet = Quadratic()
    module = Losses(supernet)
    second_order(module, "train", "val", 0)
    w, a, rate = 0.5, 0.3, 0.1
    ahead = w - rate * (w - a)  # and d ahead / d a = rate
    wanted = 0.7 * ahead + rate * (ahead - 1 + 0.7 * a)
    assert float(supernet.logits[0].grad) == pytest.approx(wanted, rel=1e-6)
    assert float(supernet.w.detach()) == 0.5
    module.weight_optimizer.state[supernet.w]["momentum_buffer"] = torch.tensor([0.2], dtype=torch.float64)
    second_order(module, "train", "val", 0)
    ahead -= rate * 0.9 * 0.2
    assert float(supernet.logits[0].grad) == pytest.approx(0.7 * ahead + rate * (ahead - 1 + 0.7 * a), rel=1e-6)


def test_looking_ahead_leaves_weights_and_statistics_as_they_were():
    supernet = SPACE.supernet((1, 8, 8), 10, SupernetOptions())
    module = SupernetModule(supernet, TASK.module(supernet, {}), SearchSettings(TrainingSettings(order=2)), 10)
    batch = torch.randn(8, 1, 8, 8), torch.arange(8)
    module.loss(batch, 0)  # ranges of quantisers are set by the first batch
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    second_order(module, batch, batch, 0)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert all(torch.isfinite(logits.grad).all() for logits in supernet.logits.parameters())
