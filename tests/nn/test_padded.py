from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.nn.padded import Padded


class Seen(nn.Module):
    def forward(self, x):
        self.size = tuple(x.shape[2:])
        return [x, x[..., ::2, ::2]] if self.training else x


@pytest.mark.parametrize(("size", "padded"), [((8, 8), (8, 8)), ((9, 10), (12, 10)), ((3, 1), (4, 2))])
def test_sizes_are_made_divisible_and_cut_back(size, padded):
    seen = Seen().eval()
    x = torch.randn(2, 1, *size)
    assert torch.equal(Padded(seen, (4, 2))(x), x)
    assert seen.size == padded


def test_several_outputs_are_cut_in_proportion():
    answers = Padded(Seen(), (4, 4))(torch.zeros(1, 1, 9, 6))
    assert [tuple(each.shape[2:]) for each in answers] == [(9, 6), (5, 3)]


def test_what_is_added_is_zero():
    seen = []
    network = nn.Identity()
    network.register_forward_hook(lambda module, inputs, output: seen.append(output))
    Padded(network, (4,))(torch.ones(1, 1, 5))
    assert seen[0].tolist() == [[[1, 1, 1, 1, 1, 0, 0, 0]]]
