from __future__ import annotations

import torch
from torch import nn

from nasplug.cost.counts import count_macs
from nasplug.cost.modules import BY_WEIGHTS, macs_by_module


class Attention(nn.Module):
    """A linear layer inside a block, and a product of activations in the block itself."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        values = self.project(x)
        return torch.bmm(values, x.transpose(1, 2))


def test_every_module_has_what_it_does_itself():
    network = nn.Sequential(nn.Linear(4, 4), Attention())
    found = macs_by_module(network, (3, 4))
    assert found == {"": 0, "0": 3 * 4 * 4, "1": 3 * 3 * 4, "1.project": 3 * 4 * 4}
    assert sum(found.values()) == count_macs(network, (3, 4))


def test_products_of_activations_can_be_left_out():
    network = nn.Sequential(nn.Linear(4, 4), Attention())
    found = macs_by_module(network, (3, 4), operators=BY_WEIGHTS)
    assert (found["1"], found["1.project"]) == (0, 48)
