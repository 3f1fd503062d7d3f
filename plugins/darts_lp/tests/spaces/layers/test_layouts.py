"""Tests of `nasplug_darts_lp.spaces.layers.layouts`."""

from __future__ import annotations

import numpy as np
import torch
from nasplug_darts_lp.spaces.layers.layouts import block_shapes, layout
from nasplug_darts_lp.spaces.layers.space import LayersSpace

from nasplug.testing import Shapes


def samples(space, count=4):
    return [space.sample(np.random.default_rng(seed)) for seed in range(count)]


def test_layouts():
    assert [shape.outputs for shape in block_shapes(layout("cifar"))] == [16] * 3 + [32] * 3 + [64] * 3
    assert sum(shape.stride == 2 for shape in block_shapes(layout("imagenet"))) == 3
    assert layout("tiny_imagenet", 0.5).channels == (16, 32, 64, 128)
    widths = {name: layout(name).channels for name in ("cifar", "tiny_imagenet", "imagenet")}
    assert widths == {
        **{"cifar": (16, 32, 64), "tiny_imagenet": (32, 64, 128, 256)},
        **{"imagenet": (64, 128, 256, 512)},
    }
    network = LayersSpace("imagenet", 0.0625, 1, weight_bits=(), activation_bits=())
    assert network.build(samples(network)[0], Shapes((3, 64, 64), 7))(torch.randn(2, 3, 64, 64)).shape == (2, 7)
