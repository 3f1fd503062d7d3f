"""Code that takes channels by their position, or computes with their number, changes nothing silently."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery

SHAPE = (3, 4, 4)


class Between(nn.Module):
    """A function between two convolutions."""

    def __init__(self, function: Callable[[Tensor], Tensor], width: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, width, 1), nn.Conv2d(width, 2, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))


def operated(function: Callable[[Tensor], Tensor]) -> Surgery:
    torch.manual_seed(0)
    return Surgery(Between(function).double(), {"shape": list(SHAPE), "dtype": "float64"})


def in_place(x: Tensor) -> Tensor:
    x[:, :2].mul_(0.5)
    return x


def deep(x: Tensor) -> Tensor:
    for _ in range(x.shape[1] // 4):
        x = torch.tanh(x)
    return x


@pytest.mark.parametrize(
    "function", [in_place, lambda x: torch.cat([x[:, :2].relu(), x[:, 2:]], 1)], ids=["in place", "joined"]
)
def test_a_slice_written_in_code_is_a_group_that_cannot_change(function: Callable[[Tensor], Tensor]) -> None:
    surgery = operated(function)
    assert surgery.sizes == {"first#2": 6}
    assert "has 2 channels and should have 3" in surgery.channels.refused["first"]
    x = torch.randn(2, *SHAPE, dtype=torch.float64)
    before = surgery.network(x)
    surgery.split({"first#2": [0, 5]})
    surgery.reorder({"first#2": [7, 6, 5, 4, 3, 2, 1, 0]})
    torch.testing.assert_close(surgery.network(x), before)


def test_every_second_channel_cannot_be_followed() -> None:
    surgery = operated(lambda x: torch.cat([x[:, ::2].relu(), x[:, 1::2].tanh()], 1))
    assert surgery.sizes == {}
    assert set(surgery.channels.refused) == {"first", "first#2", "last"}


@pytest.mark.parametrize(
    "function",
    [lambda x: x / x.shape[1] ** 0.5, lambda x: x * torch.tensor(float(x.shape[1])), lambda x: x + x.shape[1]],
    ids=["float", "tensor", "integer"],
)
def test_a_number_that_follows_the_channels_is_found(function: Callable[[Tensor], Tensor]) -> None:
    surgery = operated(function)
    group = surgery.channels["first"]
    assert "number that follows" in (group.inexact_split or "")
    assert "number that follows" in (group.inexact_removal or "")
    for edit in (surgery.split, surgery.remove):
        with pytest.raises(SurgeryError, match="would change what the network computes"):
            edit({"first": [0]})
    surgery.remove({"first": [0]}, inexact=True)
    assert surgery.sizes == {"first": 7}


def test_a_depth_that_follows_the_channels_is_found_at_the_edit_that_changes_it() -> None:
    surgery = operated(deep)
    surgery.grow({"first": 3})  # 11 // 4 == 8 // 4
    with pytest.raises(SurgeryError, match="number that follows"):
        surgery.grow({"first": 1})
    assert surgery.network.first.out_channels == 11
