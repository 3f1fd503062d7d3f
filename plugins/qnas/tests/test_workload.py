"""The layers that the spaces know are those of the chains that they build."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.spaces import ConvSpace, ResidualSpace

from nasplug.contract.errors import SpecError
from nasplug.cost.candidate import Candidate
from nasplug.testing import Shapes
from nasplug.workloads.extract import extract

SPACES = {
    "conv": ConvSpace(nodes=8, width=0.125),
    "conv flattened": ConvSpace("conv15", nodes=5, width=0.05, head="flatten"),
    "conv of odd windows": ConvSpace(
        ["conv_2_1_4", "conv_3_2_5", "conv_5_3_3", "conv_1_2_6", "conv_4_1_2", "max_pool_3_2", "avg_pool_2_1", "no_op"],
        nodes=7,
    ),
    "residual": ResidualSpace(nodes=8, width=0.125),
    "residual of odd windows": ResidualSpace(
        ["bv1_3_1_4", "bv1_2_1_6", "bv1p_3_1_3", "bv1p_2_1_6", "conv_3_2_5", "max_pool_2_2"], nodes=6
    ),
}
SHAPES = ((3, 32, 32), (1, 8, 8), (2, 15, 11), (4, 3, 9))


def check(space, count, seed):
    rng = np.random.default_rng(seed)
    for number in range(count):
        architecture, shape = space.sample(rng), SHAPES[number % len(SHAPES)]
        task = Shapes(shape, 7)
        with torch.device("meta"):
            network = space.build(architecture, task)
        found = extract(network, shape)
        assert space.workload(architecture, task).differences(found) == [], (architecture.genotype, shape)


@pytest.mark.parametrize("name", SPACES)
def test_random_chains(name):
    check(SPACES[name], 8, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_many_random_chains(name):
    check(SPACES[name], 300, seed=1)


def test_a_chain_of_nothing():
    space, task = ConvSpace(nodes=3), Shapes((3, 16, 16), 10)
    architecture = space.architecture(("no_op",) * 3)
    found = extract(space.build(architecture, task), task.input_shape)
    assert space.workload(architecture, task) == found


def test_candidates_are_priced_without_their_network():
    def build():
        raise AssertionError("the network was built")

    space, task = ConvSpace(), Shapes((3, 32, 32), 10)
    architecture = space.sample(np.random.default_rng(3))
    candidate = Candidate(build, task.input_shape, architecture=architecture, space=space, task=task)
    assert candidate.workload.macs.sum() > 0
    with pytest.raises(SpecError, match="expected an image"):
        space.workload(architecture, Shapes((12,), 10))
