from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import SpaceError
from nasplug.spaces.mlp import Mlp
from nasplug.testing import Shapes, SpaceConformance


class TestMlp(SpaceConformance):
    def make_space(self):
        return Mlp(layers=2, widths=(4, 8))


def test_layers_that_are_left_out_are_no_difference():
    space = Mlp(layers=3, widths=(4, 8), dropouts=(0.0, 0.5))
    first, second = (space.architecture((*sizes, "relu", 0.5)) for sizes in ((0, 8, 0), (8, 0, 0)))
    assert first.key == second.key
    network = space.build(first, Shapes((6,), 3))
    assert [type(layer) for layer in network] == [
        nn.Flatten,
        nn.Linear,
        nn.BatchNorm1d,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
    ]
    assert network.eval()(torch.zeros(2, 6)).shape == (2, 3)
    assert space.graph(first).labels[1:-1] == ("relu 8",)


def test_networks_without_hidden_layers_are_linear():
    space = Mlp(layers=1, widths=(4,), dropouts=(0.0,))
    network = space.build(space.architecture((0, "tanh", 0.0)), Shapes((1, 2, 3), 2))
    assert sum(parameter.numel() for parameter in network.parameters()) == 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "are not networks"),
        ({"widths": ()}, "are not networks"),
        ({"activations": ("rleu",)}, "unknown activation 'rleu'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(SpaceError, match=message):
        Mlp(**arguments)
