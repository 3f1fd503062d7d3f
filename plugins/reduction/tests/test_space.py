"""The space: what can shrink, how much is left, and which weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.example import SmallResNet, small_resnet
from nasplug_reduction.inheritance import inherit
from nasplug_reduction.space import Widths
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.cost.counts import count_params
from nasplug.testing import SpaceConformance


def space(**settings):
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16), **settings)


class TestConformance(SpaceConformance):
    input_shapes = ((3, 16, 16),)

    def make_space(self):
        return space()


def test_the_largest_network_is_the_original():
    reduction, original = space(), small_resnet().eval()
    network = reduction.build(reduction.full).eval()
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(x), original(x))


def test_parameters_are_known_without_building():
    reduction = space()
    rng = np.random.default_rng(0)
    for _ in range(8):
        architecture = reduction.sample(rng)
        counted = count_params(reduction.build(architecture))
        assert reduction.params(architecture) == counted == count_params(reduction.skeleton(architecture))


def test_the_most_important_channels_stay():
    network = nn.Sequential(nn.Conv2d(1, 6, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2))
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([0.1, 5.0, 0.2, 3.0, 4.0, 0.3]).view(6, 1, 1, 1)
    reduction = ReductionSpace.from_model(network, (1, 1, 1), widths=Widths(least=1, levels=6))
    assert reduction.choices[0].options == (1, 2, 3, 4, 5, 6)
    cut = reduction.build(reduction.architecture([3]))
    assert cut[0].weight.flatten().tolist() == pytest.approx([5.0, 3.0, 4.0])
    assert torch.equal(cut[3].weight, network[3].weight[:, [1, 3, 4]])


def test_a_narrower_network_is_a_part_of_a_wider_one():
    reduction = space(blocks=False)
    wide, narrow = reduction.from_vector([6, 5, 4]), reduction.from_vector([3, 2, 1])
    for name, channels in reduction.kept(narrow).items():
        assert set(channels) < set(reduction.kept(wide)[name])


def test_weights_pass_to_narrower_and_to_wider_networks():
    reduction = space(blocks=False)
    parent, child = reduction.from_vector([6, 2, 4]), reduction.from_vector([3, 5, 1])
    trained = reduction.build(parent)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1.0)
    network, untouched = reduction.build(child), reduction.build(child)
    own, theirs = (reduction.layout.indices(reduction.kept(each)) for each in (child, parent))
    inherit(network, trained.state_dict(), own, theirs)
    # Channels that the parent has too are its own, all others those of the original network.
    kept, before = reduction.kept(child)["3.conv1"], set(reduction.kept(parent)["3.conv1"])
    stream, streamed = reduction.kept(child)["0"], set(reduction.kept(parent)["0"])
    plus = network[3].conv1.weight - untouched[3].conv1.weight
    for row, channel in enumerate(kept):
        for column, read in enumerate(stream):
            shared = channel in before and read in streamed
            assert plus[row, column].allclose(torch.ones(3, 3) if shared else torch.zeros(3, 3), atol=1e-6)


def test_what_cannot_shrink_has_a_reason():
    reduction = space()
    assert reduction.refused == {"7": "it is an output of the network"}
    narrow = ReductionSpace.from_model(SmallResNet(4, 1), (3, 8, 8), widths=Widths(least=2))
    assert set(narrow.refused) == {"5"} or set(narrow.refused) == {"6"}


def test_nothing_to_shrink_is_said():
    with pytest.raises(SpecError, match="nothing of Linear can become smaller"):
        ReductionSpace.from_model(nn.Linear(4, 2), (4,))


def test_widths_follow_the_hardware():
    reduction = ReductionSpace.from_model(SmallResNet(32, 1), (3, 8, 8), widths=Widths(round_to=8))
    assert [choice.options for choice in reduction.choices] == [(8, 16, 24, 32)] * 2 + [("drop", "keep")]


@pytest.mark.parametrize("field", ["levels", "least", "round_to"])
def test_settings_of_widths_are_checked(field):
    with pytest.raises(SpecError, match=f"{field} must be >= 1, got 0"):
        Widths(**{field: 0})


def test_graph_has_a_node_for_every_layer():
    reduction = space()
    graph = reduction.graph(reduction.full)
    assert graph.labels == ("input", *["conv3x3:12"] * 5, "linear:out", "output")
    assert (2, 3) in graph.edges  # inside of a block
    assert (1, 6) in graph.edges  # the stem reaches the head through the shortcuts


def test_a_block_is_passed_by():
    reduction = space()
    assert reduction.blocks == ("3", "4")
    without = reduction.architecture([12, 12, 12, "keep", "drop"])
    network, original = reduction.build(without).eval(), small_resnet().eval()
    original[4] = nn.Identity()
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(network(x), original(x))
    assert reduction.params(without) == count_params(original) == count_params(reduction.skeleton(without))
    # The width inside of the block makes no difference any more.
    assert without == reduction.architecture([12, 12, 12, "keep", "drop"])
    assert without.key == reduction.architecture([12, 12, 5, "keep", "drop"]).key
    assert len(reduction.graph(without).labels) == len(reduction.graph(reduction.full).labels) - 2


def test_only_what_adds_is_a_block():
    plain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten())
    assert ReductionSpace.from_model(nn.Sequential(plain, nn.Linear(8 * 64, 2)), (3, 8, 8)).blocks == ()


def test_a_network_that_comes_for_inference_is_trained():
    reduction = ReductionSpace.from_model(small_resnet().eval(), (3, 16, 16))
    assert all(part.training for part in reduction.build(reduction.smallest).modules())
