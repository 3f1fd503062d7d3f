"""The workloads that the spaces know, beside those that are read off their networks."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201

from nasplug.testing import Shapes

pytest.importorskip("torch")

from nasplug.workloads.extract import extract


@pytest.mark.parametrize(
    "space", [NASBench201(channels=4, cells=1), NASBench101(channels=16, stacks=2, cells=1)], ids=lambda s: s.name
)
def test_spaces_know_what_would_be_read(space):
    rng = np.random.default_rng(0)
    task = Shapes((3, 15, 16), 7)
    for _ in range(25):
        architecture = space.sample(rng)
        found = extract(space.build(architecture, task), task.input_shape)
        assert space.workload(architecture, task).differences(found) == []


def test_published_multiply_accumulates_of_the_benchmarks():
    task = Shapes((3, 32, 32), 10)
    space = NASBench201()
    with_conv = space.workload(space.architecture(("nor_conv_3x3",) + ("none",) * 2 + ("skip_connect",) * 3), task)
    without = space.workload(space.architecture(("skip_connect",) + ("none",) * 2 + ("skip_connect",) * 3), task)
    assert with_conv.macs.sum() - without.macs.sum() == 15 * 2_359_296  # a 3x3 edge, in fifteen cells
