"""The workload of a chain of cells from its genotype is the one that is read off the built network."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_qnas.segmentation.space import SegmentationSpace

from nasplug.testing.synthetic import Shapes
from nasplug.workloads.extract import extract


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 20, 24), (1, 16, 24, 16)])
def test_the_layers_are_those_of_the_built_network(shape, published):
    space = SegmentationSpace(nodes=6, stem=4, published_output=published)
    for seed in range(8):
        task = Shapes(shape, 2 + seed % 2, "map" if len(shape) == 3 else "volume")
        architecture = space.sample(np.random.default_rng(seed))
        found = space.workload(architecture, task)
        network = space.build(architecture, task)
        assert found.differences(extract(network, shape)) == []
        assert found.stored_weights.sum() == sum(each.numel() for each in network.parameters() if each.ndim > 1)


def test_weights_of_the_published_u_net():
    space = SegmentationSpace("topology", published_output=True)
    architecture = space.architecture(list("ndddduuuun"))
    workload = space.workload(architecture, Shapes((1, 128, 128), 2, "map"))
    norms = 2_729_618 - int(workload.stored_weights.sum())
    # The card's trainable parameters beside weights: two for each channel of a normalisation, two biases.
    assert norms == 2 * sum(int(co) for co, bias in zip(workload.co, workload.bias, strict=True) if bias) - 2
