"""The space of residual networks."""

from __future__ import annotations

import numpy as np
from nasplug_cgap.resnet import ResNetSpace

from nasplug.cost.counts import count_params
from nasplug.testing import SpaceConformance
from nasplug.testing.synthetic import Shapes


class TestResNet(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 8, 8))
    builds = 2

    def make_space(self):
        return ResNetSpace(blocks=[1, 2], widths=[4, 6])


def test_the_network_of_the_publication():
    """ResNet-32 of width 30 has 1.65 million parameters."""
    space = ResNetSpace()
    network = space.build(space.architecture((5, 30, True)), Shapes((3, 32, 32), 120))
    assert np.isclose(count_params(network), 1.65e6, rtol=0.01)


def test_shortcuts_are_parameters_only_where_the_shape_changes():
    space = ResNetSpace()
    sizes = [count_params(space.build(space.architecture((2, 8, on)), Shapes((3, 32, 32), 10))) for on in (True, False)]
    assert sizes[0] - sizes[1] == 8 * 16 + 2 * 16 + 16 * 32 + 2 * 32
