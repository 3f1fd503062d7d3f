"""`inherit.overlap`: the leading slices that two networks have in common."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.builtin.overlap import Overlap


@pytest.mark.parametrize(("parent", "child"), [(3, 5), (5, 3), (4, 4)])
def test_common_slices_are_copied_and_the_rest_stays(parent, child):
    def network(width, seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(2, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, 2))

    old, new = network(parent, 1), network(child, 2)
    old[1].running_mean.fill_(7.0)
    before = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    assert Overlap().inherit(None, new, old.state_dict()) is True
    both = min(parent, child)
    after, weights = new.state_dict(), old.state_dict()
    assert torch.equal(after["0.weight"][:both], weights["0.weight"][:both])
    assert torch.equal(after["3.weight"][:, :both], weights["3.weight"][:, :both])
    assert torch.equal(after["1.running_mean"][:both], torch.full((both,), 7.0))
    assert torch.equal(after["0.weight"][both:], before["0.weight"][both:])
    assert torch.equal(after["3.weight"][:, both:], before["3.weight"][:, both:])


def test_other_names_and_other_dimensions_are_left_alone():
    new = nn.Sequential(nn.Linear(3, 2))
    before = new[0].weight.clone()
    assert Overlap().inherit(None, new, {"0.weight": torch.zeros(2), "1.weight": torch.zeros(2, 3)}) is None
    assert torch.equal(new[0].weight, before)


def test_the_type_of_the_child_is_kept():
    new = nn.Linear(2, 2).to(torch.bfloat16)
    assert Overlap().inherit(None, new, {"weight": torch.ones(2, 2, dtype=torch.float64)})
    assert new.weight.dtype == torch.bfloat16
    assert torch.equal(new.weight, torch.ones(2, 2, dtype=torch.bfloat16))
