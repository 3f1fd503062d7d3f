"""Changes of shape divide labels where elements go, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.surgery import channels_of
from nasplug.surgery.rules.views import heads_of, segments
from tests.surgery.test_agreement import Between


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((2, 6), (2, 6), [([0], [0]), ([1], [1])]),
        ((2, 6), (2, 2, 3), [([0], [0]), ([1], [1, 2])]),
        ((4, 2, 3), (4, 6), [([0], [0]), ([1, 2], [1])]),
        ((4, 6, 5), (4, 3, 10), [([0], [0]), ([1, 2], [1, 2])]),
        ((2, 3, 4), (24,), [([0, 1, 2], [0])]),
        ((6,), (6, 1), [([0], [0]), ([], [1])]),
    ],
)
def test_runs_of_axes_with_the_same_elements(
    old: tuple[int, ...], new: tuple[int, ...], expected: list[tuple[list[int], list[int]]]
) -> None:
    assert list(segments(old, new)) == expected


def test_numbers_of_heads_by_their_names() -> None:
    module = nn.Module()
    module.num_heads, module.n_head, module.head_dim, module.heads, module.width = 3, 4, 5, 2.0, 6
    assert heads_of(module) == {"num_heads": 3, "n_head": 4}


def pairs(x: Tensor) -> Tensor:
    """The first half of the channels meets the second, by a view."""
    first, second = x.view(len(x), 2, -1, *x.shape[2:]).unbind(1)
    return torch.cat([first * second, first + second], 1)


def test_halves_of_a_view_are_tied_by_pairs() -> None:
    channels = channels_of(Between(pairs), (3, 4, 4))
    # channel 0 stays with 4, 1 with 5 and so on
    assert channels.sizes == {"first": 4}
    assert channels["first"].members[0].places.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]


def blocks(x: Tensor) -> Tensor:
    """A pixel shuffle and back: four channels of a map are one afterwards."""
    shuffled = torch.nn.functional.pixel_shuffle(x, 2).relu()
    return torch.nn.functional.pixel_unshuffle(shuffled, 2)


def test_four_neighbours_of_a_pixel_shuffle_are_one_channel() -> None:
    channels = channels_of(Between(blocks), (3, 4, 4))
    assert channels.sizes == {"first": 2}
    assert channels["first"].members[0].places.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_gated_linear_unit_ties_its_halves() -> None:
    class Unit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.last = nn.Linear(3, 6), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(nn.functional.glu(self.one(x)))

    group = channels_of(Unit(), (3,))["one"]
    assert group.members[0].places.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_tensor_like_another_one_has_its_size() -> None:
    for function in (torch.zeros_like, torch.ones_like, lambda x: torch.full_like(x, 0.5)):
        channels = channels_of(Between(lambda x, function=function: x + function(x)), (3, 4, 4))
        assert channels.sizes == {"first": 8}
        assert channels["first"].inexact_split is None
