"""Tensors by name, shared ones once; tensors in whatever a network returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasplug.surgery.state import state_of, tensors_in


def test_weights_and_buffers_by_their_first_name() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2, bias=False))
    network[2].weight = network[0].weight
    state = state_of(network)
    assert list(state) == ["0.weight", "0.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert state["0.weight"] is network[2].weight


def test_tensors_in_nested_values_and_records() -> None:
    @dataclass
    class Output:
        logits: Tensor
        hidden: tuple[Tensor, ...]
        loss: None = None

    one, two, three = torch.ones(1), torch.ones(2), torch.ones(3)
    found = list(tensors_in({"a": [one, "text", 3], "b": Output(two, (three,))}))
    assert [len(each) for each in found] == [1, 2, 3]
    assert list(tensors_in(("text", 1.5, None))) == []
