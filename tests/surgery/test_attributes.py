"""Numbers that modules keep beside their weights follow an edit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery
from tests.surgery.networks import Attention


@pytest.mark.parametrize(
    ("layer", "shape", "sizes"),
    [
        (nn.Conv2d(6, 6, 3, padding=1, groups=3), (2, 4, 4), {"in_channels": 4, "out_channels": 4, "groups": 2}),
        (nn.ConvTranspose2d(6, 6, 1), (2, 4, 4), {"in_channels": 4, "out_channels": 6}),
        (nn.GroupNorm(3, 6), (2, 4, 4), {"num_groups": 2, "num_channels": 4}),
        (nn.InstanceNorm2d(6, affine=True), (2, 4, 4), {"num_features": 4}),
        (nn.PReLU(6), (2, 4, 4), {"num_parameters": 4}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_keep_the_sizes_of_their_weights(
    layer: nn.Module, shape: tuple[int, ...], sizes: dict[str, int]
) -> None:
    network = nn.Sequential(nn.Conv2d(2, 6, 1), layer, nn.Conv2d(6, 1, 1))
    surgery = Surgery(network, shape)
    size = surgery.sizes["0"]  # channels, or groups of two
    surgery.remove({"0": range(2 if size == 6 else 1)})
    assert {name: getattr(layer, name) for name in sizes} == sizes
    assert network(torch.randn(2, *shape)).shape == (2, 1, 4, 4)


def test_a_layer_normalisation_keeps_a_tuple() -> None:
    network = nn.Sequential(nn.Linear(2, 6), nn.LayerNorm(6), nn.Linear(6, 1))
    Surgery(network, (2,)).remove({"0": [0, 5]}, inexact=True)
    assert network[1].normalized_shape == (4,)


def test_heads_and_not_the_width_of_a_head() -> None:
    network = nn.Sequential(nn.Linear(2, 12), Attention(12, 3), nn.Linear(12, 1))
    surgery = Surgery(network, (5, 2))
    surgery.remove({"1.qkv": [1]})
    assert (network[1].num_heads, network[1].head_dim) == (2, 4)
    assert network[1].qkv.weight.shape == (24, 12)
    assert network[1].proj.weight.shape == (12, 8)
    surgery.grow({"1.qkv": 3})
    assert (network[1].num_heads, network[1].head_dim) == (5, 4)


def test_as_many_heads_as_their_width() -> None:
    network = nn.Sequential(nn.Linear(2, 9), Attention(9, 3), nn.Linear(9, 1))
    Surgery(network, (5, 2)).grow({"1.qkv": 1})
    assert (network[1].num_heads, network[1].head_dim) == (4, 3)


class Kept(nn.Module):
    """A width as an attribute, beside numbers that are as large by accident."""

    def __init__(self) -> None:
        super().__init__()
        self.features = 4
        self.kernel_size = self.epochs_done = self.stride = 4
        self.one, self.last = nn.Linear(2, 8), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.one(x).split(self.features, -1)
        return self.last(left * right)


def test_an_attribute_that_code_cuts_by_follows_and_others_stay() -> None:
    network = Kept()
    Surgery(network, (2,)).grow({"one": 3})
    assert network.features == 7
    assert (network.kernel_size, network.epochs_done, network.stride) == (4, 4, 4)


def test_one_attribute_for_two_widths_is_refused() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = 4
            self.one, self.two, self.last = nn.Linear(2, 8), nn.Linear(4, 8), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.one(x).split(self.width, -1)
            left, right = self.two(left * right).split(self.width, -1)
            return self.last(left * right)

    network = Both()
    surgery = Surgery(network, (2,))
    with pytest.raises(SurgeryError, match="'width' of the network would have to be 5 and 6 at once"):
        surgery.grow({"one": 1, "two": 2})
    surgery.grow({"one": 1, "two": 1})
    assert network.width == 5
