"""Whole modules are taken out where shapes agree, and everything that holds their weights follows."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.cost.counts import count_macs
from nasplug.surgery import Surgery, edit_of, repeat
from tests.surgery.networks import OptionA, Transformer

SHAPE = (3, 8, 8)


class Residual(nn.Module):
    """A block `x + branch(x, scale=...)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = Scaled(width)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + self.branch(x, scale=scale)


class Scaled(nn.Module):
    """A convolution that is called with a number beside its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, *, scale: float) -> Tensor:
        return self.conv(x) * scale


class Blocks(nn.Module):
    """Two residual blocks, one that is called twice, and a head that looks at a part of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 4, 1), Residual(4), Residual(4)
        self.again = self.two
        self.down, self.head = nn.Conv2d(4, 6, 3, 2), nn.Linear(6, 2)
        self.idle = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.two(self.one(self.stem(x), 0.5)))
        return self.head(self.down(x).mean((2, 3)))


@pytest.fixture
def network() -> Blocks:
    torch.manual_seed(0)
    return Blocks()


X = torch.linspace(-1, 1, 2 * 3 * 64).reshape(2, *SHAPE)


def test_a_residual_block_is_passed_by(network: Blocks) -> None:
    with torch.no_grad():
        wanted = network.head(network.down(network.again(network.two(network.stem(X)))).mean((2, 3)))
    surgery = Surgery(network, SHAPE)
    record = surgery.drop(["one"])
    assert torch.equal(network(X), wanted)
    assert record["modules"] == ["one"]
    assert sum(value.numel() for value in network.one.parameters()) == 0
    # the stem's and the blocks' channels are one group before and after
    assert surgery.sizes == {"stem": 4, "down": 6}
    # stem 4 x 3, the block that is called twice 2 x 4 x 4 x 9, on 64 pixels; down 6 x 4 x 9 on 9; head 6 x 2
    assert count_macs(network, SHAPE) == 64 * (12 + 288) + 9 * 216 + 12


def test_a_branch_is_silenced(network: Blocks) -> None:
    with torch.no_grad():
        stem = network.stem(X)
        passed = network.head(network.down(network.again(network.two(stem))).mean((2, 3)))
        doubled = network.head(network.down(network.again(network.two(stem * 2))).mean((2, 3)))
    surgery = Surgery(network, SHAPE)
    surgery.drop(["one.branch"], fill="zero")
    torch.testing.assert_close(network(X), passed)
    surgery.drop(["one.branch"], fill="input")  # now the input is added to itself
    torch.testing.assert_close(network(X), doubled)
    assert surgery.sizes == {"stem": 4, "down": 6}  # zeros are not a size of their own


def test_a_module_of_two_places_leaves_both(network: Blocks) -> None:
    Surgery(network, SHAPE).drop(["again"])
    assert network.again is network.two
    with torch.no_grad():
        wanted = network.head(network.down(network.one(network.stem(X), 0.5)).mean((2, 3)))
    assert torch.equal(network(X), wanted)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (["down"], r"it maps \(N, 4, 8, 8\) of float32 to \(N, 6, 3, 3\) of float32"),
        (["oen"], "did you mean 'one'"),
        ([""], "no module ''"),
        (["idle"], "it was not called"),
        (["one", "one.branch"], "'one' is dropped too"),
        (["one.branch", "one"], "'one.branch' is dropped too"),
        (["two", "again"], "'two' is dropped too"),
    ],
)
def test_what_cannot_go_is_named_and_nothing_changes(network: Blocks, modules: list[str], message: str) -> None:
    surgery = Surgery(network, SHAPE)
    before = list(network.state_dict())
    with pytest.raises(SurgeryError, match=message):
        surgery.drop(modules)
    assert list(network.state_dict()) == before
    assert surgery.records == []


def test_a_module_whose_parts_are_looked_at_is_refused() -> None:
    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.block(x)) + self.block.weight.mean()

    network = Looking()
    with pytest.raises(SurgeryError, match="no attribute 'weight'"):
        Surgery(network, (4,)).drop(["block"])
    assert isinstance(network.block, nn.Linear)


def test_a_layer_of_a_tuple_is_refused() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x)[0]

    with pytest.raises(SurgeryError, match="does not return one tensor"):
        Surgery(Pair(), (3, 4)).drop(["attention"])


def test_droppable_modules_are_those_that_keep_the_shape(network: Blocks) -> None:
    surgery = Surgery(network, SHAPE)
    assert surgery.channels.droppable == (
        "one",
        "one.branch",
        "one.branch.conv",
        "two",
        "two.branch",
        "two.branch.conv",
    )
    surgery.drop(["two"])
    assert surgery.channels.droppable == ("one", "one.branch", "one.branch.conv")
    assert Surgery(OptionA(), (3, 16, 16)).channels.droppable == (
        *("bn", "blocks.0", "blocks.0.conv1", "blocks.0.bn1", "blocks.0.conv2", "blocks.0.bn2", "blocks.0.shortcut"),
        *("blocks.1.bn1", "blocks.1.conv2", "blocks.1.bn2", "blocks.2.bn1", "blocks.2.conv2", "blocks.2.bn2"),
    )


def test_channels_and_modules_in_one_sequence_of_records() -> None:
    torch.manual_seed(0)
    network = Transformer()
    surgery = Surgery(network, (3, 16, 16))
    surgery.remove({"mlp.1": [0, 3]})
    surgery.drop(["attention"])
    surgery.grow({"patches": 2}, inexact=True)
    surgery.drop(["mlp.2"])
    records = json.loads(json.dumps(surgery.records))
    torch.manual_seed(1)
    other = repeat(Transformer(), records)
    other.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(other(x), network(x))
    assert not any(name.startswith("attention") for name in other.state_dict())
    assert other.mlp[1].weight.shape == (18, 14)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_optimizers_forget_what_is_gone(network: Blocks, kind: type[torch.optim.Optimizer]) -> None:
    groups = [{"params": list(network.one.parameters())}, {"params": [*network.two.parameters(), network.head.weight]}]
    optimizer = kind(groups, lr=0.1)  # type: ignore[call-arg]
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)

    def step() -> None:
        optimizer.zero_grad()
        network(X).square().sum().backward()
        optimizer.step()
        schedule.step()

    step()
    Surgery(network, SHAPE, [optimizer]).drop(["one"])
    assert [len(group["params"]) for group in optimizer.param_groups] == [0, 3]
    assert all(any(key is value for value in network.parameters()) for key in optimizer.state)
    before = network.head.weight.detach().clone()
    step()
    assert not torch.equal(network.head.weight, before)
    other = kind([{"params": []}, {"params": [*network.two.parameters(), network.head.weight]}], lr=0.1)  # type: ignore[call-arg]
    other.load_state_dict(optimizer.state_dict())


def test_a_weight_that_others_use_stays() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
            self.two.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.two(self.one(x)))

    network = Shared()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    Surgery(network, (4,), [optimizer]).drop(["one"])
    assert len(optimizer.param_groups[0]["params"]) == 4
    assert {id(each) for each in optimizer.param_groups[0]["params"]} == {id(each) for each in network.parameters()}


def test_a_preview_shows_the_network_without_the_module(network: Blocks) -> None:
    surgery = Surgery(network, SHAPE)
    twin = surgery.preview(edit_of("drop", {}, modules=("one",)))
    assert sum(value.numel() for value in network.parameters()) - sum(value.numel() for value in twin.parameters()) == (
        4 * 4 * 9 + 4
    )
    assert surgery.records == []
    assert surgery.sizes == {"stem": 4, "down": 6}


@pytest.mark.parametrize(("do", "given"), [("drop", {"groups": {"one": [0]}}), ("remove", {"modules": ("one",)})])
def test_an_edit_takes_channels_or_modules(do: str, given: dict[str, object]) -> None:
    groups = given.pop("groups", {})
    with pytest.raises(SurgeryError, match=rf"^surgery: {do} takes (modules|groups) and was given"):
        edit_of(do, groups, **given)  # type: ignore[arg-type]


def test_a_network_without_blocks_goes_to_onnx(network: Blocks, tmp_path) -> None:
    pytest.importorskip("onnxruntime")
    from nasplug.export.onnx import write_onnx

    Surgery(network, SHAPE).drop(["one", "two.branch"], fill="zero")
    assert write_onnx(network, SHAPE, tmp_path / "n.onnx") < 1e-5
