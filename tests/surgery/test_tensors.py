"""Weights, buffers and gradients after edits, with values computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.surgery import Surgery


@pytest.fixture
def network() -> nn.Sequential:
    """Two hidden neurons with weights 1 and 2, a normalisation, a reader with weights 3 and 5."""
    network = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    network[0].weight.data, network[0].bias.data = torch.tensor([[1.0], [2.0]]), torch.tensor([0.1, 0.2])
    network[1].weight.data, network[1].bias.data = torch.tensor([7.0, 8.0]), torch.tensor([0.7, 0.8])
    network[1].running_mean, network[1].running_var = torch.tensor([0.3, 0.4]), torch.tensor([4.0, 9.0])
    network[2].weight.data = torch.tensor([[3.0, 5.0]])
    network[0].weight.grad, network[2].weight.grad = torch.tensor([[10.0], [20.0]]), torch.tensor([[30.0, 50.0]])
    return network


def values(tensor: torch.Tensor) -> list[float]:
    return [round(value, 5) for value in tensor.flatten().tolist()]


def test_a_split_copies_what_makes_and_divides_what_reads(network: nn.Sequential) -> None:
    Surgery(network, (1,)).split({"0": [0]}, share=0.25)
    assert values(network[0].weight) == [1, 1, 2]
    assert values(network[0].bias) == [0.1, 0.1, 0.2]
    assert values(network[1].weight) == [7, 7, 8]
    assert values(network[1].running_mean) == [0.3, 0.3, 0.4]
    assert values(network[1].running_var) == [4, 4, 9]
    assert values(network[2].weight) == [0.75, 2.25, 5]  # 0.25 * 3, 0.75 * 3
    # a copy was not there when the gradient was taken
    assert values(network[0].weight.grad) == [10, 0, 20]
    assert values(network[2].weight.grad) == [30, 0, 50]
    assert network[1].num_features == network[2].in_features == network[0].out_features == 3


def test_noise_on_the_copy_alone_in_deviations_of_the_layer(network: nn.Sequential) -> None:
    Surgery(network, (1,)).split({"0": [0]}, noise=0.5, seed=3)
    noise = torch.randn((1, 1), generator=torch.Generator().manual_seed(3))
    std = torch.tensor([1.0, 2.0]).std()
    assert values(network[0].weight) == values(
        torch.stack([torch.tensor(1.0), 1 + 0.5 * std * noise[0, 0], torch.tensor(2.0)])
    )
    assert values(network[2].weight) == [1.5, 1.5, 5]


def test_growth_starts_normalisations_afresh_and_is_read_by_nobody(network: nn.Sequential) -> None:
    Surgery(network, (1,)).grow({"0": 1}, seed=1)
    assert values(network[0].weight)[:2] == [1, 2]
    assert network[0].weight[2].item() not in (0.0, 1.0, 2.0)
    assert values(network[0].bias) == [0.1, 0.2, 0]
    assert values(network[1].weight) == [7, 8, 1]
    assert values(network[1].bias) == [0.7, 0.8, 0]
    assert values(network[1].running_mean) == [0.3, 0.4, 0]
    assert values(network[1].running_var) == [4, 9, 1]
    assert values(network[2].weight) == [3, 5, 0]


def test_random_growth_is_read(network: nn.Sequential) -> None:
    Surgery(network, (1,)).grow({"0": 1}, init="random", seed=1)
    assert values(network[2].weight)[:2] == [3, 5]
    assert network[2].weight[0, 2].item() != 0


def test_growth_beside_a_channel(network: nn.Sequential) -> None:
    Surgery(network, (1,)).grow({"0": [0, 0]})
    assert values(network[2].weight) == [3, 0, 0, 5]
    assert values(network[0].bias) == [0.1, 0, 0, 0.2]


def test_removal_and_order(network: nn.Sequential) -> None:
    surgery = Surgery(network, (1,))
    surgery.reorder({"0": [1, 0]})
    assert values(network[0].weight) == [2, 1]
    assert values(network[1].running_var) == [9, 4]
    assert values(network[2].weight) == [5, 3]
    assert values(network[2].weight.grad) == [50, 30]
    surgery.remove({"0": [0]})
    assert values(network[0].weight) == [1]
    assert values(network[1].running_mean) == [0.3]
    assert values(network[2].weight) == [3]
    assert values(network[0].weight.grad) == [10]


def test_a_mask_silences_weights_and_not_statistics(network: nn.Sequential) -> None:
    Surgery(network, (1,)).mask({"0": [1]})
    assert values(network[0].weight) == [1, 0]
    assert values(network[0].bias) == [0.1, 0]
    assert values(network[1].weight) == [7, 0]
    assert values(network[1].bias) == [0.7, 0]
    assert values(network[1].running_mean) == [0.3, 0.4]
    assert values(network[2].weight) == [3, 0]


def test_equal_seeds_give_equal_networks() -> None:
    def grown(seed: int) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        torch.manual_seed(seed + 100)  # the global state does not matter
        Surgery(network, (3,)).grow({"0": 2}, seed=seed)
        return network[0].weight.detach()

    assert torch.equal(grown(1), grown(1))
    assert not torch.equal(grown(1), grown(2))


@pytest.mark.parametrize("edit", ["remove", "split"])
def test_what_was_computed_before_may_live_on(edit: str) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    calls: list[tuple[int, ...]] = []
    network[0].weight.register_post_accumulate_grad_hook(lambda weight: calls.append(tuple(weight.grad.shape)))
    x = torch.ones(2, 3, dtype=torch.float64)
    loss = network(x).sum()  # autograd keeps the shape of the weights as long as it is there
    loss.backward()
    getattr(Surgery(network, {"shape": [3], "dtype": "float64"}), edit)({"0": [1]})
    network.zero_grad()
    network(x).sum().backward()
    assert network[0].weight.dtype == torch.float64
    assert calls == [(4, 3), (3, 3) if edit == "remove" else (5, 3)]
    assert loss.grad_fn is not None
