"""Scores of channels, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import channels_of
from nasplug.surgery.scores import activations, score, scores


class Joined(nn.Module):
    """Two layers whose outputs are added, so that both make the same channels, and a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.norm, self.last = nn.Linear(2, 3), nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.one(x) + self.two(x)))


@pytest.fixture
def network() -> Joined:
    network = Joined()
    with torch.no_grad():
        network.one.weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.5], [3.0, 3.0]]))
        network.two.weight.copy_(torch.tensor([[0.25, 0.25], [-1.0, 1.0], [0.0, 0.0]]))
        network.norm.weight.copy_(torch.tensor([0.5, -4.0, 0.0]))
    return network


def test_every_layer_that_makes_a_channel_counts(network: Joined) -> None:
    group = next(iter(channels_of(network, (2,))))
    assert score(network, group).tolist() == [3.5, 2.5, 6.0]
    assert score(network, group, "bn_scale").tolist() == [0.5, 4.0, 0.0]
    assert scores(network, [group])[group.name].tolist() == [3.5, 2.5, 6.0]


def test_gradients_alone_and_times_weights(network: Joined) -> None:
    group = next(iter(channels_of(network, (2,))))
    with pytest.raises(SurgeryError):
        score(network, group, "taylor")
    network.one.weight.grad = torch.tensor([[2.0, 1.0], [1.0, -1.0], [0.0, 1.0]])
    network.two.weight.grad = torch.tensor([[0.0, -4.0], [1.0, 1.0], [5.0, 0.0]])
    assert score(network, group, "gradient").tolist() == [7.0, 4.0, 6.0]
    assert score(network, group, "taylor").tolist() == [5.0, 2.5, 3.0]


@pytest.mark.parametrize("batches", [1, 2, 3, 4])
def test_activations_are_the_mean_over_all_batches(batches: int) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 3, bias=False), nn.Linear(3, 1))
    images = torch.randn(batches, 5, 1, 2, 2)
    channels = channels_of(network, (1, 2, 2))
    with activations(network, channels) as means, torch.no_grad():
        for batch in images:
            network(batch)
    with torch.no_grad():
        maps = network[0](images.flatten(0, 1))
        hidden = network[2](maps.flatten(1))
        network(images[0])  # nobody measures any more
    assert torch.allclose(means["0"], maps.abs().mean(dim=(0, 2, 3)).double(), rtol=1e-5)
    assert torch.allclose(means["2"], hidden.abs().mean(dim=0).double(), rtol=1e-5)
