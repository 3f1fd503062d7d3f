"""Tests of `nasplug_darts_lp.folding.tracing`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, fold
from torch import nn

from nasplug.contract.errors import TaskError


class InPlace(nn.Module):
    """The shortcut reads a tensor that was changed in place by then."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        first = self.conv1(x)
        if self.how == "module":
            changed = self.relu(first)
        elif self.how == "function":
            changed = nn.functional.relu(first, inplace=True)
        else:
            changed = first.relu_()
        second = self.conv2(changed)
        third = self.conv3(second)
        third += first
        return third


@pytest.mark.parametrize("how", ["module", "function", "method"])
def test_changes_in_place_are_followed(images, ready, how):
    network = ready(InPlace(how), shape=(4, 6, 6))
    assert agreement(network, fold(network, (4, 6, 6)), images(shape=(4, 6, 6))).exact


def test_a_change_that_the_graph_does_not_show_is_noticed(ready):
    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            first = self.conv(x)
            second = first
            second += 1.0  # changes `first`, too; torch.fx sees a new tensor
            return first * 1.0

    with pytest.raises(TaskError, match="another name as well"):
        fold(ready(Renamed(), shape=(4, 6, 6)), (4, 6, 6))


def test_inputs_of_another_shape_are_refused(plain, ready):
    with pytest.raises(TaskError, match="folded for"):
        fold(ready(plain()), (3, 11, 11))(torch.zeros(1, 3, 12, 12))
