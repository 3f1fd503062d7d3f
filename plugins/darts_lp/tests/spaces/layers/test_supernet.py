"""Tests of `nasplug_darts_lp.spaces.layers.supernet`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.options import SupernetOptions

from nasplug.testing import Shapes

SHAPE = (3, 16, 16)
TASK = Shapes(SHAPE, 5)


FLOAT_LAYERS = {"width": 0.25, "blocks": 2, "weight_bits": (), "activation_bits": ()}


def samples(space, count=4):
    return [space.sample(np.random.default_rng(seed)) for seed in range(count)]


def test_the_path_of_a_layer_wise_network_is_that_network():
    """The same names, the centres of the same weights, and the same outputs."""
    space = LayersSpace(**FLOAT_LAYERS)
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions()).eval()
    x = torch.randn(4, *SHAPE)
    for architecture in samples(space, 6):
        network = space.build(architecture, TASK).eval()
        inside = dict(supernet.named_parameters())
        with torch.no_grad():
            for name, value in network.named_parameters():
                if name not in inside:  # scale and shift of a normalisation inside a block, 1 and 0
                    assert ".branch.norm." in name
                    continue
                cut = (inside[name].shape[-1] - value.shape[-1]) // 2 if value.dim() == 4 else 0
                size = value.shape[-1]
                found = inside[name][:, :, cut : cut + size, cut : cut + size] if cut else inside[name]
                assert found.shape == value.shape
                value.copy_(found)
        assert torch.allclose(network(x), supernet.run(x, supernet.weights_of(architecture)), atol=1e-5)


def test_a_ranking_of_a_large_space_takes_no_time():
    """A block that is left out hides its kernel and bits: without care, millions of genotypes are one network."""
    space = LayersSpace(width=0.125)
    supernet = space.supernet((3, 8, 8), 2, SupernetOptions())
    for name, logits in supernet.logits.named_parameters():
        if name.endswith("_op"):
            logits.data[1] = 9.0
    assert len({architecture.key for architecture, _ in itertools.islice(supernet.ranked(), 50)}) == 50


def test_the_most_probable_network_of_a_cost_is_found_among_all():
    space = LayersSpace(
        width=0.25,
        blocks=1,
        operations=("conv", "skip"),
        kernels=(3,),
        weight_bits=(1, 2, 4, 8),
        activation_bits=(2, 8),
    )
    supernet = space.supernet((1, 8, 8), 10, SupernetOptions())
    torch.manual_seed(1)
    with torch.no_grad():
        for logits in supernet.logits.parameters():
            logits.copy_(torch.randn(len(logits)))
    costs = {
        architecture.key: (float(supernet.cost(supernet.weights_of(architecture))), probability)
        for architecture, probability in supernet.ranked()
    }
    middle = sorted(cost for cost, _ in costs.values())[len(costs) // 2]
    low, high = 0.9 * middle, 1.1 * middle
    wanted = max((key for key in costs if low <= costs[key][0] <= high), key=lambda key: costs[key][1])

    found = list(itertools.islice(supernet.within(low, high), 5))

    assert found[0][0].key == wanted
    assert found[0][1] == pytest.approx(costs[wanted][1], rel=1e-6)
    assert all(low <= costs[architecture.key][0] <= high for architecture, _ in found)
