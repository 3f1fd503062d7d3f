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


def test_random_scores_follow_the_seed_and_differ_by_group() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    groups = list(channels_of(network, (2,)))
    one, other = scores(network, groups, "random", seed=1), scores(network, groups, "random", seed=1)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["0"], one["2"])
    assert not torch.equal(one["0"], score(network, groups[0], "random", seed=2))


def test_what_has_no_score_is_named(network: Joined) -> None:
    group = channels_of(network, (2,))["one"]
    with pytest.raises(SurgeryError, match="no gradient to score by"):
        score(network, group, "taylor")
    with pytest.raises(SurgeryError, match="did you mean 'taylor'"):
        score(network, group, "tailor")  # type: ignore[arg-type]
    plain = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(SurgeryError, match="no normalisation scales its channels"):
        score(plain, channels_of(plain, (2,))["0"], "bn_scale")


def test_a_channel_of_several_places_has_the_sum_of_them() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.GroupNorm(2, 4), nn.Conv2d(4, 1, 1))
    network[0].weight.data = torch.tensor([1.0, -2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    group = channels_of(network, (1, 2, 2))["0"]
    assert group.size == 2
    assert score(network, group).tolist() == [3.0, 7.0]
