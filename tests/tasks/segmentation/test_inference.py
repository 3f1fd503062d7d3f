from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.tasks.segmentation.inference import segment
from nasplug.tasks.segmentation.settings import Scoring


@pytest.fixture
def image():
    return torch.randn(1, 20, 18, 7, generator=torch.Generator().manual_seed(0))


def pointwise(layer):
    torch.manual_seed(0)
    return layer(1, 3, 1)


@pytest.mark.parametrize(("layer", "patch"), [(nn.Conv3d, (8, 8, 4)), (nn.Conv2d, (8, 8))])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_windows_give_what_the_network_gives_voxel_by_voxel(image, layer, patch, overlap):
    network = pointwise(layer)
    found = segment(network, image, patch, Scoring(overlap=overlap))
    weight, bias = network.weight.flatten(), network.bias
    expected = weight[:, None, None, None] * image + bias[:, None, None, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_volume_smaller_than_the_patch(image):
    assert segment(pointwise(nn.Conv3d), image, (32, 32, 32), Scoring()).shape == (3, 20, 18, 7)


def test_flips_average_probabilities(image):
    network = nn.Conv3d(1, 3, 3, padding=1)
    found = segment(network, image, (20, 18, 7), Scoring(flips=True)).softmax(0)
    parts = []
    for axes in ([], [2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]):
        parts.append(network(image[None].flip(axes)).softmax(1).flip(axes)[0])
    torch.testing.assert_close(found, torch.stack(parts).mean(0), rtol=1e-3, atol=1e-4)


def test_the_finest_of_several_outputs_counts(image):
    network = pointwise(nn.Conv3d)
    both = segment(lambda x: [network(x), network(x)[:, :, ::2]], image, (8, 8, 4), Scoring())
    torch.testing.assert_close(both, segment(network, image, (8, 8, 4), Scoring()))
