"""Proxies by hand, on networks small enough."""

from __future__ import annotations

import math

import pytest
import torch
from nasplug_zerocost.batch import Batch
from nasplug_zerocost.proxies import PROXIES
from torch import nn
from torch.nn import functional

from nasplug.contract.errors import SpecError


def line(weight: float = 2.0) -> nn.Sequential:
    """y = w x."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False))
    network[0].weight.data.fill_(weight)
    return network


#: Loss ((2 * 1)^2 + (2 * 2)^2) / 2 = 10; its derivative by the weight is 10, and the second one 5.
NUMBERS = Batch((torch.tensor([[1.0], [2.0]]),), {}, torch.zeros(2, 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("snip", 20.0),
        ("plain", 20.0),
        ("grad_norm", 10.0),
        ("l2_norm", 2.0),
        ("grasp", -100.0),
        ("fisher", 68.0),  # outputs 2 and 4, gradients 2 and 4: (4^2 + 16^2) / 2 / 2
    ],
)
def test_gradients_of_one_weight(name, value):
    assert PROXIES[name](line(), NUMBERS) == pytest.approx(value)


def test_signs_count_where_they_should():
    assert PROXIES["snip"](line(-2.0), NUMBERS) == pytest.approx(20.0)
    assert PROXIES["plain"](line(-2.0), NUMBERS) == pytest.approx(20.0)  # the gradient has the sign of the weight
    shifted = Batch(NUMBERS.args, {}, torch.full((2, 1), 10.0))
    assert PROXIES["plain"](line(), shifted) == pytest.approx(-40.0)
    assert PROXIES["snip"](line(), shifted) == pytest.approx(40.0)


def test_fisher_sums_over_positions_first():
    network = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False))
    network[0].weight.data.fill_(1.0)
    batch = Batch((torch.tensor([[[1.0, 2.0]]]),), {}, torch.zeros(1, 1, 2))
    # outputs 1 and 2, gradients 1 and 2: (1 + 4)^2 / 2
    assert PROXIES["fisher"](network, batch) == pytest.approx(12.5)


def test_synflow_is_the_flow_through_every_layer():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))
    for layer in (network[0], network[3]):
        numbers = torch.arange(layer.weight.numel()).view_as(layer.weight)
        layer.weight.data = 1.0 - 2.0 * (numbers % 2)  # one and minus one in turns
        layer.bias.data.zero_()
    given = Batch((torch.randn(4, 2),), {})
    assert PROXIES["synflow"](network.train(), given) == pytest.approx(math.log(6.0 + 6.0))


def test_synflow_of_a_deep_network_stays_finite():
    layers = [nn.Linear(64, 64, bias=False) for _ in range(200)]
    for layer in layers:
        layer.weight.data.fill_(0.5)
    given = Batch((torch.randn(2, 64),), {})
    expected = 200 * math.log(32) + math.log(200 * 64)
    assert PROXIES["synflow"](nn.Sequential(*layers), given) == pytest.approx(expected, rel=1e-6)


CODES = Batch((torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]),), {})


class Functional(nn.Module):
    """The same, called as a function."""

    def forward(self, x):
        return functional.relu(x)


@pytest.mark.parametrize("network", [nn.ReLU(), nn.ReLU6(), nn.SiLU(), Functional(), nn.ReLU(inplace=True)], ids=repr)
def test_naswot_counts_units_in_which_inputs_agree(network):
    given = Batch((CODES.args[0].clone(),), {})
    assert PROXIES["naswot"](network, given) == pytest.approx(math.log(4.0))  # of [[2, 0, 1], [0, 2, 1], [1, 1, 2]]


def test_naswot_of_inputs_that_no_unit_tells_apart_is_finite_and_low():
    same = Batch((torch.ones(3, 2),), {})
    assert PROXIES["naswot"](nn.ReLU(), same) == pytest.approx(math.log(6.0) + 2 * math.log(1e-10))


def test_naswot_without_activation_functions_is_lower_than_any_other():
    found = PROXIES["naswot"](line(), NUMBERS)
    assert found == pytest.approx(2 * math.log(1e-10))
    assert found < PROXIES["naswot"](nn.ReLU(), Batch((torch.ones(2, 1),), {}))


def test_jacov_of_a_linear_network_sees_one_direction():
    network = nn.Linear(3, 2)
    k = 1e-5
    expected = -(math.log(4 + k) + 1 / (4 + k)) - 3 * (math.log(k) + 1 / k)
    assert PROXIES["jacov"](network, Batch((torch.randn(4, 3),), {})) == pytest.approx(expected, rel=1e-6)


def test_jacov_is_higher_where_inputs_are_told_apart():
    torch.manual_seed(0)
    given = Batch((torch.randn(8, 16),), {})
    bent = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
    assert PROXIES["jacov"](bent, given) > PROXIES["jacov"](nn.Linear(16, 1), given)
    with pytest.raises(SpecError, match="real numbers"):
        PROXIES["jacov"](nn.Embedding(4, 2), Batch((torch.zeros(2, dtype=torch.long),), {}))


class Words(nn.Module):
    """Reads integers by name, and answers with a dictionary."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, ids):
        return {"logits": self.head(functional.relu(self.words(ids)).mean(1))}


def test_integers_by_name_and_answers_in_dictionaries():
    torch.manual_seed(0)
    given = Batch((), {"ids": torch.randint(0, 10, (6, 5))})
    for name in set(PROXIES) - {"jacov"}:
        assert math.isfinite(PROXIES[name](Words(), given)), name


def test_maps_have_a_class_at_every_position():
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1))
    given = Batch((torch.randn(2, 1, 4, 4),), {})
    assert given.loss(network(*given.args)).ndim == 0
    assert PROXIES["snip"](network, given) > 0
