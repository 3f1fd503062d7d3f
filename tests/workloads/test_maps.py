"""Maps of networks that are put together layer by layer: as large as the layers of torch make them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.workloads.maps import MapBuilder

LAYERS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}


@pytest.mark.parametrize("shape", [(3, 9, 6), (2, 5, 4, 7)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_maps_have_the_size_of_the_layers(shape, factor):
    made, axes = MapBuilder(shape), len(shape) - 1
    conv, transposed = LAYERS[axes]
    x = torch.zeros(1, *shape)
    found = made.conv(made.input, 4, [3] * axes, [factor] * axes)
    assert found.shape == conv(shape[0], 4, 3, factor, padding=1)(x).shape
    wider = made.transposed(made.input, 5, [factor] * axes, [factor] * axes)
    assert wider.shape == transposed(shape[0], 5, factor, factor)(x).shape
    assert wider.size == tuple(side * factor for side in shape[1:])
