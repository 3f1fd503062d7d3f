"""The structure of networks, compared by names and shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import TrialError
from nasplug.evaluate.structure import check_unchanged, differences, structure


def test_the_state_of_a_network_or_a_mapping_of_it():
    network = nn.Linear(3, 2)
    assert structure(network) == structure(network.state_dict()) == {"weight": (2, 3), "bias": (2,)}


def test_a_lazy_module_fits_what_it_becomes():
    network = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    before = structure(network)
    assert before["0.weight"] is None
    network(torch.randn(2, 7))
    assert structure(network)["0.weight"] == (4, 7)
    assert differences(before, structure(network)) == []
    check_unchanged(before, structure(network), "trial 0")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda network: network.append(nn.Linear(2, 2)), ["1.bias", "1.weight"]),
        (lambda network: network.register_buffer("mask", torch.ones(3)), ["mask"]),
        (lambda network: network.__setitem__(0, nn.Linear(3, 5)), ["0.bias", "0.weight"]),
        (lambda network: network.__setitem__(0, nn.Linear(3, 2, bias=False)), ["0.bias"]),
    ],
)
def test_what_is_added_removed_or_resized_is_named(change, changed):
    network = nn.Sequential(nn.Linear(3, 2))
    before = structure(network)
    change(network)
    assert differences(before, structure(network)) == changed
    with pytest.raises(TrialError, match="its record does not say how") as caught:
        check_unchanged(before, structure(network), "trial 7")
    assert caught.value.kind == "structure"
    assert changed[0] in str(caught.value)
    with pytest.raises(TrialError, match="lead to another structure"):
        check_unchanged(before, structure(network), "trial 7", edited=True)
