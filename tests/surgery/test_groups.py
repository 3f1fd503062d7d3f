"""Groups with their members, places, names and reasons."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import channels_of


class Net(nn.Module):
    """A residual stream, a depthwise convolution, a flatten of 2 x 2 places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mid, self.back = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 4, 1, bias=False)
        self.depth, self.fc = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.back(F.relu(self.depth(self.mid(x))))
        return self.fc(x.flatten(1))


def test_members_are_all_axes_that_hold_the_channels() -> None:
    channels = channels_of(Net(), (3, 2, 2))
    assert channels.sizes == {"stem": 4, "mid": 6}
    assert len(channels) == 2
    found = {
        group.name: [(each.tensor, each.axis, each.role, each.places.shape[1]) for each in group.members]
        for group in channels
    }
    assert found["stem"] == [
        ("stem.weight", 0, "out", 1),
        ("stem.bias", 0, "along", 1),
        ("mid.weight", 1, "in", 1),
        ("back.weight", 0, "out", 1),
        ("fc.weight", 1, "in", 4),
    ]
    assert found["mid"] == [
        ("mid.weight", 0, "out", 1),
        ("mid.bias", 0, "along", 1),
        ("depth.weight", 0, "along", 1),
        ("depth.bias", 0, "along", 1),
        ("back.weight", 1, "in", 1),
    ]
    stem = channels["stem"]
    assert stem.maker.tensor == "stem.weight"
    assert stem.members[-1].places.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]


def test_unknown_and_fixed_groups_are_named() -> None:
    channels = channels_of(Net(), (3, 2, 2))
    with pytest.raises(SurgeryError, match="did you mean 'stem'"):
        channels["stme"]
    with pytest.raises(SurgeryError, match="output of the network"):
        channels["fc"]
    assert channels.refused == {"fc": "it is an output of the network"}


def test_parts_of_a_layer_are_numbered_groups() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.last = nn.Linear(3, 7), nn.Linear(7, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            return self.last(torch.cat([x[:, :2].relu(), x[:, 2:].tanh()], 1))

    channels = channels_of(Parts(), (3,))
    assert {name: group.size for name, group in channels.groups.items()} == {"one": 2, "one#2": 5, "last": 2}
    assert channels.groups["one#2"].members[0].places.ravel().tolist() == [2, 3, 4, 5, 6]


def test_reasons_can_be_added() -> None:
    channels = channels_of(Net(), (3, 2, 2)).refusing({"mid": "so"}, {"stem": "bent"})
    assert channels.sizes == {"stem": 4}
    assert channels.refused["mid"] == "so"
    assert channels["stem"].inexact_split == channels["stem"].inexact_removal == "bent"
