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
