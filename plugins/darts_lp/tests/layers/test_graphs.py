"""Tests of `nasplug_darts_lp.layers.graphs`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.layers.graphs import changes_its_input, follow_changes, input_of
from torch import fx, nn


class Changing(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        y = x + 1
        self.act(y)
        return torch.neg(input=y)


def test_readers_of_what_was_changed_read_the_change():
    network = Changing()
    module = fx.symbolic_trace(network)
    modules = dict(module.named_modules())
    assert [node.name for node in module.graph.nodes if changes_its_input(node, modules)] == ["act"]
    follow_changes(module)
    last = [node for node in module.graph.nodes if node.op == "call_function"][-1]
    assert str(input_of(last)) == "act"
    inputs = torch.randn(5)
    assert torch.equal(module(inputs), network(inputs))
