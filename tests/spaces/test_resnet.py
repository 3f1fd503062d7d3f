from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import SpaceError
from nasplug.spaces.resnet import ResNetSpace
from nasplug.testing import Shapes, SpaceConformance


class TestResNet(SpaceConformance):
    def make_space(self):
        return ResNetSpace(stems=(1, 2), widths=(4, 8), stages=(2,), blocks=(1, 2), dropouts=(0.0, 0.1))


@pytest.mark.parametrize("side", [1, 7, 8, 28, 33])
@pytest.mark.parametrize("stem", [1, 2, 8])
def test_images_of_any_size_are_taken(side, stem):
    space = ResNetSpace(stems=(stem,), widths=(8,), stages=(3,), blocks=(2,))
    network = space.build(space.architecture((stem, 8, 3, 2, 0.0)), Shapes((3, side, side), 5))
    assert network.eval()(torch.zeros(2, 3, side, side)).shape == (2, 5)


def test_the_stem_makes_the_image_smaller_by_its_factor_and_every_stage_by_two():
    space = ResNetSpace(stems=(4,), widths=(8,), stages=(2,), blocks=(2,))
    network = space.build(space.architecture((4, 8, 2, 2, 0.0)), Shapes((1, 32, 32), 2))
    stem = network.stem(torch.zeros(1, 1, 32, 32))
    assert stem.shape == (1, 8, 8, 8)
    assert network.stages(stem).shape == (1, 16, 4, 4)


def test_weights_as_counted_by_hand():
    space = ResNetSpace(stems=(1,), widths=(8,), stages=(2,), blocks=(1,))
    network = space.build(space.architecture((1, 8, 2, 1, 0.0)), Shapes((3, 8, 8), 10))
    stem = 3 * 8 * 9 + 2 * 8
    first = 2 * (8 * 8 * 9 + 2 * 8)
    second = 8 * 16 * 9 + 16 * 16 * 9 + 8 * 16 + 3 * 2 * 16
    assert sum(each.numel() for each in network.parameters()) == stem + first + second + 16 * 10 + 10


def test_a_block_begins_as_its_shortcut():
    space = ResNetSpace(stems=(1,), widths=(8,), stages=(1,), blocks=(3,))
    network = space.build(space.architecture((1, 8, 1, 3, 0.0)), Shapes((3, 8, 8), 10)).eval()
    stem = network.stem(torch.randn(2, 3, 8, 8))
    assert torch.equal(network.stages(stem), stem)


def test_the_graph_has_a_shortcut_around_every_block():
    space = ResNetSpace(stems=(2,), widths=(8,), stages=(2,), blocks=(1,))
    graph = space.graph(space.architecture((2, 8, 2, 1, 0.0)))
    assert graph.labels == ("input", "conv /2 8", "conv 8", "add", "conv /2 16", "add", "output")
    assert graph.edges == ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 5), (5, 6))


def test_dropout_stands_before_the_last_layer():
    space = ResNetSpace(dropouts=(0.25,))
    network = space.build(space.architecture((1, 8, 3, 1, 0.25)), Shapes((1, 8, 8), 2))
    assert [type(each) for each in list(network)[-2:]] == [nn.Dropout, nn.Linear]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stems": (3,)}, r"stems must be \[1, 2, 4, 8, 16, 32\], got \[3\]"),
        ({"widths": ()}, r"widths must be from 1 to 1024, got \[\]"),
        ({"widths": (8, 0)}, "widths must be from 1 to 1024"),
        ({"stages": (7,)}, "stages must be from 1 to 6"),
        ({"blocks": (True,)}, "blocks must be from 1 to 32"),
        ({"dropouts": (1.0,)}, "dropouts must be from 0 to below 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(SpaceError, match=message):
        ResNetSpace(**arguments)
