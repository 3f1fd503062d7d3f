"""Edits keep what a network computes, and a fresh process can repeat them."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery import Surgery, repeat
from tests.surgery.networks import NETWORKS, built, outputs, plain


def exact(surgery: Surgery, *, split: bool = False) -> dict[str, int]:
    """Sizes of the groups in which silent channels, or copies, do not matter."""
    return {
        group.name: group.size
        for group in surgery.channels
        if (group.inexact_split if split else group.inexact_removal) is None
    }


@pytest.fixture(params=sorted(NETWORKS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("training", [False, True])
def test_growth_and_removal_of_silent_channels_keep_the_function(name: str, training: bool) -> None:
    network, shape = built(name)
    x = torch.randn(4, *shape, dtype=torch.float64)
    surgery = Surgery(network, plain(shape))

    def now() -> torch.Tensor:
        return outputs(network, x, training=training)

    before = now()
    surgery.split({group: [0, size - 1] if size > 1 else [0] for group, size in exact(surgery, split=True).items()})
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    surgery.grow(dict.fromkeys(exact(surgery), 2))
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    surgery.reorder({group.name: torch.randperm(group.size).tolist() for group in surgery.channels})
    torch.testing.assert_close(now(), before, rtol=0, atol=1e-9)
    chosen = {group: [1, size - 1] for group, size in exact(surgery).items() if size > 2}
    surgery.mask(chosen)
    silent = now()
    assert not torch.allclose(silent, before)
    sizes = surgery.sizes
    surgery.remove(chosen)
    torch.testing.assert_close(now(), silent, rtol=0, atol=1e-9)
    assert surgery.sizes == {group: size - 2 * (group in chosen) for group, size in sizes.items()}


def test_a_network_built_anew_gets_the_structure_from_the_records(name: str) -> None:
    network, shape = built(name)
    surgery = Surgery(network, plain(shape))
    surgery.grow(dict.fromkeys(exact(surgery), 1), seed=3)
    surgery.split({group: [0] for group in exact(surgery, split=True)}, noise=0.1)
    surgery.remove({group: [size - 2] for group, size in exact(surgery).items()})
    records = json.loads(json.dumps(surgery.records))
    other, _ = built(name, seed=1)
    repeat(other, records)
    other.load_state_dict(network.state_dict())
    x = torch.randn(2, *shape, dtype=torch.float64)
    assert torch.equal(outputs(other, x), outputs(network, x))
    kept = [vars(module) for module in network.modules()]
    for mine, theirs in zip(kept, (vars(module) for module in other.modules()), strict=True):
        numbers = {key: value for key, value in mine.items() if isinstance(value, (int, tuple)) and key != "training"}
        assert numbers == {key: theirs[key] for key in numbers}


def test_gradients_of_kept_weights_are_those_of_the_larger_network(name: str) -> None:
    network, shape = built(name)
    x = torch.randn(2, *shape, dtype=torch.float64)
    surgery = Surgery(network, plain(shape))
    surgery.grow(dict.fromkeys(exact(surgery), 1))
    last = {group: [size - 1] for group, size in exact(surgery).items()}
    surgery.mask(last)

    def step() -> dict[str, torch.Tensor]:
        network.eval().zero_grad()
        result = network(x)
        sum(part.square().sum() for part in (result if isinstance(result, tuple) else (result,))).backward()
        return {key: value.grad.clone() for key, value in network.named_parameters() if value.grad is not None}

    step()
    surgery.remove(last)
    moved = {key: value.grad.clone() for key, value in network.named_parameters() if value.grad is not None}
    for key, gradient in step().items():
        torch.testing.assert_close(gradient, moved[key], rtol=0, atol=1e-9, msg=key)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_optimizers_go_on(kind: type[torch.optim.Optimizer]) -> None:
    network, shape = built("option A")
    settings = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(network.parameters(), lr=0.01, **settings)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    surgery = Surgery(network, plain(shape), [optimizer])
    x = torch.randn(4, *shape, dtype=torch.float64)

    def step() -> None:
        optimizer.zero_grad()
        network(x).square().sum().backward()
        optimizer.step()
        schedule.step()

    step()
    kept = {id(value) for value in network.parameters()}
    surgery.split({group: [0] for group in surgery.sizes}, noise=0.1)
    step()
    surgery.remove({group: [1] for group in surgery.sizes})
    step()
    assert {id(value) for value in network.parameters()} == kept
    for value in network.parameters():
        for state in optimizer.state[value].values():
            if isinstance(state, torch.Tensor) and state.numel() > 1:
                assert state.shape == value.shape


def test_nothing_changes_when_an_edit_is_refused() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.other = nn.Conv2d(8, 4, 1)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x).mean((2, 3)).view(-1, 8)
            return self.fc(self.other(y[:, :, None, None]).flatten(1))

    network = Written()
    surgery = Surgery(network, (3, 8, 8))
    assert "written in code" in surgery.channels.refused["conv"]
    assert surgery.sizes == {"other": 4}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(SurgeryError, match="cannot change"):
        surgery.remove({"conv": [0], "other": [0]})
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"conv": range(8)}, "whole group would be removed, 8 channels"),
        ({"conv": [8]}, "no channel 8"),
        ({"conv": [1, 1]}, "named twice"),
        ({"cnov": [1]}, "did you mean 'conv'"),
        ({"fc": [0]}, "output of the network"),
    ],
)
def test_bad_edits_are_named(groups: dict[str, list[int]], message: str) -> None:
    network, shape = built("option A")
    with pytest.raises(SurgeryError, match=message):
        Surgery(network, plain(shape)).remove(groups)


def test_inexact_edits_are_asked_for() -> None:
    network, shape = built("transformer")
    surgery = Surgery(network, plain(shape))
    stream = surgery.channels["patches"]
    assert stream.inexact_removal is not None
    with pytest.raises(SurgeryError, match="normalised over"):
        surgery.split({"patches": [0]})
    surgery.split({"patches": [0]}, inexact=True)
    assert surgery.sizes["patches"] == 13
    assert outputs(network, torch.randn(2, *shape, dtype=torch.float64)).isfinite().all()
