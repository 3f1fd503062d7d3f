"""Groups that code takes as equal pieces of one tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery
from nasplug.surgery.partners import partners

#: Channels of labels 0 to 7.
CHANNELS = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def pieces(*parts: list[int]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(part) for part in parts)


def test_pieces_of_one_group_each_are_partners_also_of_partners() -> None:
    names = {0: "a", 1: "b", 2: "c", 3: "d"}
    found = partners([pieces([0, 1], [2, 3]), pieces([2], [4])], CHANNELS, names)
    assert found == {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")}


def test_what_all_pieces_have_is_left_out() -> None:
    names = {0: "a", 1: "b", 2: "a", 3: "c"}
    assert partners([pieces([0, 2], [4, 6])], CHANNELS, names) == {"b": ("c",), "c": ("b",)}
    assert partners([pieces([0, 1], [4, 5])], CHANNELS, names) == {}  # both of one group


def test_nothing_is_said_about_pieces_of_several_groups() -> None:
    names = {0: "a", 1: "b", 2: "c", 3: "d"}
    assert partners([pieces([0, 2], [4, 6])], CHANNELS, names) == {}


class Halves(nn.Module):
    """Two halves of a layer, each read by a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.left, self.right = nn.Linear(3, 8), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.both(x).relu().split(self.both.out_features // 2, -1)
        return self.left(one) + self.right(other)


def test_halves_change_together_or_not_at_all() -> None:
    torch.manual_seed(0)
    network, x = Halves(), torch.randn(5, 3)
    surgery = Surgery(network, (3,))
    assert {group.name: group.partners for group in surgery.channels} == {"both": ("both#2",), "both#2": ("both",)}
    before = network(x)
    with pytest.raises(SurgeryError, match="change 'both' and 'both#2' by the same number"):
        surgery.split({"both": [0, 1]})
    surgery.split({"both": [0, 1], "both#2": [3, 2]})
    torch.testing.assert_close(network(x), before)
    assert surgery.sizes == {"both": 6, "both#2": 6}
    assert surgery.channels["both"].partners == ("both#2",)
