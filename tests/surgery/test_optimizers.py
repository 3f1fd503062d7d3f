"""State of optimizers follows, or the optimizer is refused before anything changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = net(torch.ones(3, 4)).square().sum()
        value.backward()
        return value

    optimizer.step(loss)


def test_moments_move_with_the_channels() -> None:
    net = network()
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer)
    before = {key: value.clone() for key, value in optimizer.state[net[0].weight].items()}
    surgery = Surgery(net, (4,), [optimizer])
    surgery.remove({"0": [1]})
    surgery.grow({"0": 1})
    after = optimizer.state[net[0].weight]
    kept = [0, 2, 3, 4, 5]
    assert torch.equal(after["exp_avg"], torch.cat([before["exp_avg"][kept], torch.zeros(1, 4)]))
    # a new channel has the scale of the one beside it: zero would mean long steps
    assert torch.equal(after["exp_avg_sq"], before["exp_avg_sq"][[*kept, 5]])
    assert torch.equal(after["step"], before["step"])


@pytest.mark.parametrize("kind", [torch.optim.Adafactor, torch.optim.LBFGS])
def test_state_of_another_shape_is_refused_and_nothing_changes(kind: type[torch.optim.Optimizer]) -> None:
    net = network()
    optimizer = kind(net.parameters(), lr=0.01)  # type: ignore[call-arg]
    step(net, optimizer)
    surgery = Surgery(net, (4,), [optimizer])
    with pytest.raises(SurgeryError, match=f"state of {kind.__name__} cannot follow"):
        surgery.remove({"0": [1]})
    assert net[0].weight.shape == (6, 4)
    assert surgery.records == []


def test_momentum_moves_and_the_next_step_is_that_of_the_smaller_network() -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    step(net, optimizer)
    schedule.step()
    momentum = optimizer.state[net[0].weight]["momentum_buffer"].clone()
    weight = net[0].weight.detach().clone()
    Surgery(net, (4,), [optimizer]).remove({"0": [0, 3]})
    kept = [1, 2, 4, 5]
    assert torch.equal(optimizer.state[net[0].weight]["momentum_buffer"], momentum[kept])
    optimizer.zero_grad()
    net(torch.ones(3, 4)).square().sum().backward()
    gradient = net[0].weight.grad.clone()
    optimizer.step()
    # the schedule holds the same optimizer: the rate is halved already
    expected = weight[kept] - 0.05 * (0.5 * momentum[kept] + gradient)
    torch.testing.assert_close(net[0].weight.detach(), expected)


def test_several_optimizers_follow_each_its_parameters() -> None:
    net = network()
    optimizers = [torch.optim.Adam(net[0].parameters()), torch.optim.SGD(net[2].parameters(), lr=0.1, momentum=0.9)]
    for optimizer in optimizers:
        step(net, optimizer)
    Surgery(net, (4,), optimizers).split({"0": [2]})
    assert optimizers[0].state[net[0].weight]["exp_avg"].shape == (7, 4)
    assert optimizers[1].state[net[2].weight]["momentum_buffer"].shape == (2, 7)
    assert net[2].weight not in optimizers[0].state  # nothing is made where there was none


def test_lbfgs_is_refused_for_modules_too() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.LBFGS(net.parameters())
    with pytest.raises(SurgeryError, match="one vector of all weights"):
        Surgery(net, (4,), [optimizer]).drop(["0"])
    assert isinstance(net[0], nn.Linear)
