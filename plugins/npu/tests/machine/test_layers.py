"""Layers of whole numbers beside torch."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.machine.layers import Layer

from nasplug.contract.errors import SpecError

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"dilation": 2}, {"groups": 3}, {"stride": 3, "groups": 3}])
def test_sums_are_those_of_torch(settings, rng):
    inputs = rng.integers(-8, 8, (6, 9, 7))
    weights = rng.integers(-8, 8, (9, 6 // settings.get("groups", 1), 3, 3))
    layer = Layer("layer", (3, 3), weights, padding=(1, 2, 1, 0), **settings)
    padded = torch.nn.functional.pad(torch.tensor(inputs, dtype=torch.float64), (2, 0, 1, 1))
    wanted = torch.nn.functional.conv2d(padded[None], torch.tensor(weights, dtype=torch.float64), **settings)[0]
    assert np.array_equal(layer(inputs), wanted.numpy().astype(np.int64))


def test_pools_are_those_of_torch(rng):
    inputs = rng.integers(-9, 9, (3, 7, 8))
    layer = Layer("pool", (3, 3), stride=2, padding=(1, 1, 1, 1))
    wanted = torch.nn.functional.max_pool2d(torch.tensor(inputs, dtype=torch.float64)[None], 3, 2, 1)[0]
    assert np.array_equal(layer(inputs), wanted.numpy().astype(np.int64))


def test_a_kernel_that_is_too_large_is_refused(rng):
    with pytest.raises(SpecError, match="larger than its input"):
        Layer("layer", (5, 5), rng.integers(0, 2, (1, 1, 5, 5))).out_size(4, 4)
