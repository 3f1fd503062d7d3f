"""Modules that surgery puts into networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.surgery.modules import Dropped, PlacedChannels


class Low(nn.Module):
    """Two silent channels in front, one behind, every second column."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x[..., ::2], (0, 0, 0, 0, 2, 1))


def test_channels_are_put_where_their_sources_say() -> None:
    placed = PlacedChannels(Low(), 2, [-1, 1, 0, 1, -1])
    x = torch.arange(1.0, 9).reshape(1, 2, 1, 4)  # channels (1, 2, 3, 4) and (5, 6, 7, 8)
    assert placed(x)[0, :, 0].tolist() == [[0, 0], [5, 7], [1, 3], [5, 7], [0, 0]]
    assert placed.double()(x.double()).dtype == torch.float64
    assert placed.state_dict() == {}


def test_a_dropped_module_passes_on_its_first_argument_or_zeros() -> None:
    x, other = torch.ones(2, 3, requires_grad=True), torch.zeros(1)
    assert Dropped()(x, other) is x
    assert Dropped()(x=x, mask=other) is x
    zeros = Dropped("zero")(x)
    assert zeros.shape == x.shape
    assert zeros.count_nonzero() == 0
    assert repr(Dropped("zero")) == "Dropped(zero)"
