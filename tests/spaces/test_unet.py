from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs
from nasplug.spaces.unet import UNetSpace
from nasplug.spaces.unet.network import UNet
from nasplug.testing import SpaceConformance
from nasplug.testing.synthetic import Shapes


class TestUNet(SpaceConformance):
    input_shapes = ((1, 32, 32), (2, 20, 28))
    outputs = 3

    def make_space(self):
        return UNetSpace(max_depth=3, widths=[4, 8], max_width=32)


def made(space, task, **decisions):
    """The network with these decisions, and the first option elsewhere."""
    named = {choice.name: choice.options[0] for choice in space.choices}
    named |= decisions
    architecture = space.architecture([named[choice.name] for choice in space.choices])
    return space.build(architecture, task), architecture


@pytest.mark.parametrize("decisions", [{}, {"depth": 3}, {"depth": 3, "up": "resize", "deep": True, "norm": "batch"}])
@pytest.mark.parametrize("size", [(16, 16, 16), (18, 13, 9)])
def test_volumes_of_any_size(decisions, size):
    space = UNetSpace(widths=[4])
    network, _ = made(space, Shapes((1, *size), 2, "volume"), **decisions)
    answers = network.train()(torch.zeros(2, 1, *size))
    if decisions.get("deep"):
        assert [each.shape[1] for each in answers] == [2, 2, 2]
        answers = answers[0]
    assert answers.shape == (2, 2, *size)
    assert network.eval()(torch.zeros(1, 1, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("block", ["conv", "residual", "inverted", "separable"])
@pytest.mark.parametrize("skip", ["concat", "add", "gate"])
def test_every_kind_learns_a_threshold(block, skip):
    torch.manual_seed(0)
    space = UNetSpace(widths=[8])
    kinds = {"encoder0": block, "decoder0": block, "encoder1": block, "skip0": skip}
    network, _ = made(space, Shapes((1, 16, 16), 2, "map"), **kinds)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        x = torch.randn(4, 1, 16, 16)
        loss = torch.nn.functional.cross_entropy(network(x), (x[:, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


def test_a_label_says_the_way_through_the_network():
    space, task = UNetSpace(widths=[8]), Shapes((1, 16, 16), 2, "map")
    _, small = made(space, task, kernel1="5", skip0="gate", decoder0="residual")
    assert space.label(small) == ("depth 1, width 8 x 1.5, instance, transposed: conv 3 > conv 5 > gate residual")
    _, large = made(space, task, depth=2, deep=True, repeats1=2, encoder2="inverted", skip1="add")
    assert space.label(large) == (
        "depth 2, width 8 x 1.5, instance, transposed, deep: "
        "conv 3 > conv 3 (2 times) > inverted 3 > add conv > concat conv"
    )


def test_parameters_by_hand():
    space = UNetSpace(widths=[4])
    network, _ = made(space, Shapes((1, 16, 16), 2, "map"))
    # depth 1, growth 1.5 (8 channels below): stem and block, step down and block, step up, block of 8, classifier
    norms = 2 * (4 + 4 + 8 + 8 + 4)
    weights = 9 * 4 + 9 * 4 * 4 + 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 * 4 + 9 * 8 * 4 + (4 * 2 + 2)
    assert sum(parameter.numel() for parameter in network.parameters()) == weights + norms


def test_widths_grow_to_the_limit():
    space = UNetSpace(max_depth=4, widths=[32], max_width=100)
    task = Shapes((1, 64, 64), 2, "map")
    _, architecture = made(space, task, depth=4, growth=2.0)
    assert [level.width for level in space.levels(architecture, task)] == [32, 64, 100, 100, 100]


def test_thin_axes_are_not_halved():
    space = UNetSpace(widths=[4])
    task = Shapes((1, 32, 32, 6), 2, "volume")
    network, architecture = made(space, task, depth=3)
    assert [level.stride for level in space.levels(architecture, task)][:2] == [(2, 2, 1), (2, 2, 1)]
    assert network(torch.zeros(1, 1, 32, 32, 6)).shape == (1, 2, 32, 32, 6)


def test_flat_kernels_are_flat_along_the_last_axis():
    space = UNetSpace(widths=[4])
    network, _ = made(space, Shapes((1, 16, 16, 16), 2, "volume"), kernel0="flat", kernel1="5")
    sides = {tuple(module.kernel_size) for module in network.modules() if isinstance(module, torch.nn.Conv3d)}
    assert {(3, 3, 1), (5, 5, 5)} <= sides


def test_decisions_of_absent_levels_are_not_made():
    space = UNetSpace(max_depth=4)
    rng = np.random.default_rng(0)
    for _ in range(50):
        architecture = space.sample(rng)
        active = space.active(architecture)
        levels = {int(name[-1]) for name in active if name[-1].isdigit()}
        assert levels == set(range(active["depth"] + 1))
        assert f"decoder{active['depth']}" not in active


def test_supervision_below_one_step_is_none():
    space = UNetSpace()
    _, first = made(space, Shapes((1, 16, 16), 2, "map"), deep=True)
    network, second = made(space, Shapes((1, 16, 16), 2, "map"), deep=False)
    assert first.key == second.key
    assert isinstance(network.network, UNet)


def test_the_graph_has_skips():
    space = UNetSpace()
    _, architecture = made(space, Shapes((1, 32, 32), 2, "map"), depth=2)
    graph = space.graph(architecture)
    assert graph.labels == ("input", "conv_3", "conv_3", "conv_3", "concat_conv_3", "concat_conv_3", "output")
    assert {(2, 4), (1, 5)} <= set(graph.edges)


def test_bad_arguments_and_inputs():
    for arguments in ({"max_depth": 0}, {"widths": []}, {"blocks": ["dense"]}, {"repeats": [0]}, {"max_width": 0}):
        with pytest.raises(SpecError, match="unet"):
            UNetSpace(**arguments)
    with pytest.raises(SpecError, match="expected one slice"):
        UNetSpace().check_inputs(Inputs.of((16, 16)))
