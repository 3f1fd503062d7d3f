"""The workload of a U-Net from its decisions is the one that is read off the built network."""

from __future__ import annotations

import numpy as np
import pytest

from nasplug.spaces.unet import UNetSpace
from nasplug.testing.synthetic import Shapes
from nasplug.workloads.extract import extract


@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 20, 28), (1, 16, 24, 16), (2, 18, 13, 9)])
def test_the_layers_are_those_of_the_built_network(shape):
    space = UNetSpace(max_depth=3, widths=[4, 8], max_width=32)
    task = Shapes(shape, 3, "map" if len(shape) == 3 else "volume")
    for seed in range(8):
        architecture = space.sample(np.random.default_rng(seed))
        found = space.workload(architecture, task)
        network = space.build(architecture, task)
        assert found.differences(extract(network, shape)) == []
        inside = sum(variable.numel() for variable in network.parameters() if variable.ndim > 1)
        supervised = list(network.network.heads)[1:]  # heads that inference leaves out
        assert found.stored_weights.sum() == inside - sum(head.weight.numel() for head in supervised)


def test_spacing_counts():
    space = UNetSpace(max_depth=2, widths=[4])
    task = Shapes((1, 32, 32, 16), 2, "volume")
    task.voxel_spacing = (1.0, 1.0, 5.0)
    architecture = space.sample(np.random.default_rng(0))
    thick = space.workload(architecture, task)
    assert thick.differences(extract(space.build(architecture, task), task.input_shape)) == []
    task.voxel_spacing = (1.0, 1.0, 1.0)
    assert thick.macs.sum() > space.workload(architecture, task).macs.sum()


def test_products_by_hand():
    space = UNetSpace(max_depth=1, widths=[4], blocks=["conv"], repeats=[1])
    choices = {choice.name: choice.options[0] for choice in space.choices}
    workload = space.workload(space.architecture(list(choices.values())), Shapes((1, 16, 16), 2, "map"))
    fine, coarse = 16 * 16, 8 * 8
    # stem and block; step down and block of 8; step up; block on both; classifier
    products = fine * 9 * (4 + 4 * 4) + coarse * 9 * (4 * 8 + 8 * 8) + coarse * 8 * 4 * 4 + fine * (9 * 8 * 4 + 4 * 2)
    assert workload.macs.sum() == products
    assert workload.operations.count("norm") == 5  # statistics of instances are made in inference, too
