"""Operators that mix, move or fix channels, each named with its reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.surgery import channels_of
from tests.surgery.test_agreement import Between


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: F.pad(x, (0, 0, 0, 0, 2, 2), value=1.0)[:, :8], "padded with another number than 0"),
        (lambda x: x.sort(1).values, "aten.sort in the network (Between) is not followed"),
        (lambda x: x.roll(1, 1), "moves single channels"),
        (lambda x: x[:, :1] * x, "a single channel meets many"),
        (lambda x: F.max_pool2d(x.movedim(1, -1), (1, 2)).repeat(1, 1, 1, 2).movedim(-1, 1), "changes its size"),
        (lambda x: x[:, torch.tensor([1, 0, 2, 3, 4, 5, 6, 7])], "it is looked up in"),
        (lambda x: x[:, :, torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 2, 3])].unsqueeze(-1), "it is looked up in"),
        (lambda x: x.index_select(1, torch.arange(7, -1, -1, device=x.device)), "it is looked up in"),
        (lambda x: x.as_strided((len(x), 8, 2, 8), (128, 16, 8, 1)), "memory is laid out anew"),
        (lambda x: x + torch.linspace(0, 1, x.shape[1], device=x.device)[:, None, None], "a size of its own"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(function: Callable[[Tensor], Tensor], reason: str) -> None:
    channels = channels_of(Between(function), (3, 4, 4))
    assert reason in channels.refused["first"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x * x.softmax(1), "channels are mixed"),
        (lambda x: x * x.mean(1, keepdim=True).sigmoid(), "channels are reduced"),
        (lambda x: F.group_norm(x, 1), "channels are normalised over"),
    ],
)
def test_what_mixes_channels_is_inexact(function: Callable[[Tensor], Tensor], reason: str) -> None:
    group = channels_of(Between(function), (3, 4, 4))["first"]
    assert reason in (group.inexact_split or "")
    assert reason in (group.inexact_removal or "")


class Weighted(nn.Module):
    """A hidden layer that is read by a weight after a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.hidden, self.function = nn.Linear(4, 6), function
        self.weight = nn.Parameter(torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.hidden(x).relu(), self.function(self.weight))


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda weight: weight * 2, True),
        (lambda weight: -weight / 3, True),
        (torch.sign, False),
        (lambda weight: weight * weight, False),
        (lambda weight: weight + 1, False),
        (lambda weight: weight.clamp(-0.1, 0.1), False),
    ],
)
def test_a_weight_that_is_changed_before_it_reads(function: Callable[[Tensor], Tensor], exact: bool) -> None:
    group = channels_of(Weighted(function), (4,))["hidden"]
    assert (group.inexact_split is None) == exact
    assert exact or "changed by a function before it is read" in (group.inexact_split or "")


def test_a_weight_that_makes_and_reads_the_same_channels_is_refused() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code = nn.Linear(5, 7)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.code(x).relu(), self.code.weight.t())

    channels = channels_of(Tied(), (5,))
    assert channels.sizes == {}
    assert "makes channels in one place and reads them in another" in channels.refused["code"]


def test_recurrent_layers_are_refused_by_reason() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.lstm, self.last = nn.Linear(5, 8), nn.LSTM(8, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.lstm(self.first(x))[0])

    channels = channels_of(Recurrent(), (4, 5))
    assert channels.sizes == {}
    assert "lstm (LSTM) is not followed" in channels.refused["lstm.weight_hh_l0"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, :, torch.tensor([3, 0], device=x.device)],
        lambda x: x.index_select(2, torch.tensor([3, 0, 1], device=x.device)),
        lambda x: x.as_strided(x.shape, x.stride()),
    ],
)
def test_looking_up_rows_leaves_the_channels_free(function: Callable[[Tensor], Tensor]) -> None:
    channels = channels_of(Between(function), (3, 4, 4))
    assert channels["first"].size == 8
    assert "first" not in channels.refused
