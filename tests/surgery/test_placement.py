"""Padded shortcuts put channels where edits moved them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery
from nasplug.surgery.modules import PlacedChannels
from nasplug.surgery.placement import place
from tests.surgery.networks import OptionA, Pad, outputs


def test_sources_after_a_removal_and_a_split() -> None:
    torch.manual_seed(0)
    network = OptionA().double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    surgery = Surgery(network, {"shape": [3, 16, 16], "dtype": "float64"})
    before = outputs(network, x)
    surgery.split({"conv": [1]})  # 8 channels, padded by 4 on both sides to 16, and by 8 to 32
    shortcut = network.blocks[1].shortcut
    assert isinstance(shortcut, PlacedChannels)
    assert (shortcut.low, shortcut.sources) == (4, [-1] * 4 + list(range(9)) + [-1] * 4)
    torch.testing.assert_close(outputs(network, x), before, rtol=0, atol=1e-10)
    # the silent channels of the second stage are a group of their own
    names = [name for name, size in surgery.sizes.items() if size == 8]
    surgery.remove({"conv": [0]})
    assert network.blocks[1].shortcut.sources == [-1] * 4 + list(range(8)) + [-1] * 4
    assert isinstance(network.blocks[1].shortcut.inner, Pad)
    assert names


def test_a_place_is_exchanged_once_and_keeps_the_first_module() -> None:
    network = nn.Sequential(Pad(1, 1))
    place(network, "0", 1, np.array([-1, 0, 1, -1]))
    place(network, "0", 1, np.array([0, -1]))
    assert isinstance(network[0].inner, Pad)
    assert network[0].sources == [0, -1]
    x = torch.ones(1, 2, 2, 2)
    assert network(x)[0, :, 0, 0].tolist() == [1, 0]


def test_padding_inside_of_other_code_is_refused() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            return self.last(F.relu(self.two(x) + F.pad(x, (0, 0, 0, 0, 2, 2))))

    surgery = Surgery(Inside(), (3, 4, 4))
    assert surgery.sizes == {}
    assert "does more than pad" in surgery.channels.refused["one"]
    with pytest.raises(SurgeryError, match="cannot change"):
        surgery.remove({"one": [0]})
