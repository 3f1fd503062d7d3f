"""Layers whose parts do not run without numbers keep their channels, and say why."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery


class Step(nn.Module):
    """A step for every output channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.ones(channels))

    def forward(self, weight: Tensor) -> Tensor:
        step = self.step.reshape(-1, *[1] * (weight.dim() - 1))
        return (weight / step).round() * step


class Stepped(nn.Linear):
    """A linear layer that a pass without numbers goes through in another way."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.quantiser = Step(outputs)

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight if input.is_meta else self.quantiser(self.weight)
        return nn.functional.linear(input, weight, self.bias)


class Activated(nn.Linear):
    """A linear layer with an activation function that always runs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.act = nn.ReLU()

    def forward(self, input: Tensor) -> Tensor:
        return self.act(super().forward(input))


def test_channels_of_a_layer_with_parts_that_do_not_run_are_refused_by_name():
    surgery = Surgery(nn.Sequential(Stepped(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)), (4,))
    assert surgery.sizes == {"2": 5}
    with pytest.raises(SurgeryError, match=r"(?s)'0' cannot change.*0 \(a Stepped\) holds 'quantiser'.*edit"):
        surgery.remove({"0": [0]})


def test_parts_that_run_hide_nothing():
    network = nn.Sequential(Activated(4, 6), nn.Linear(6, 2))
    surgery = Surgery(network, (4,))
    surgery.remove({"0": [0]})
    assert network(torch.ones(3, 4)).shape == (3, 2)
    assert network[0].weight.shape == (5, 4)
