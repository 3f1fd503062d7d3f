from __future__ import annotations

import pytest
import torch

from nasplug.contract.errors import SpecError
from nasplug.spaces.medical import NETWORKS, MonaiSpace, spacing_of
from nasplug.testing.synthetic import Shapes

SMALL = ["unet", "segresnet", "attention_unet", "dynunet"]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(1, 32, 48), (2, 32, 48, 32), (1, 20, 18, 13)])
def test_patches_of_any_size(name, shape):
    space = MonaiSpace([name])
    output = "map" if len(shape) == 3 else "volume"
    network = space.build(space.architecture([name]), Shapes(shape, 3, output))
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, *shape)).shape == (1, 3, *shape[1:])


def test_dynunet_is_configured_as_nnunet_would():
    network = NETWORKS["dynunet"](Shapes((1, 64, 64, 64), 3, "volume"))
    inside = network.network.network
    widths = [
        inside.input_block.conv1.conv.out_channels,
        *(each.conv1.conv.out_channels for each in inside.downsamples),
        inside.bottleneck.conv1.conv.out_channels,
    ]
    assert widths == [32, 64, 128, 256, 320]
    assert network.factors == (16, 16, 16)
    answers = network.train()(torch.zeros(1, 1, 64, 64, 64))
    assert [tuple(each.shape) for each in answers] == [(1, 3, 64, 64, 64)] * 3


def test_thick_slices_get_flat_kernels_and_strides():
    class Thick(Shapes):
        voxel_spacing = (1.0, 1.0, 5.0)

    task = Thick((1, 64, 64, 16), 2, "volume")
    assert spacing_of(task) == [1, 1, 5]
    inside = NETWORKS["dynunet"](task).network.network
    assert tuple(inside.input_block.conv1.conv.kernel_size) == (3, 3, 1)
    assert tuple(inside.downsamples[0].conv1.conv.stride) == (2, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unetr", "swin_unetr"])
@pytest.mark.parametrize("shape", [(1, 32, 48), (1, 20, 32, 32)])
def test_transformers(name, shape):
    network = NETWORKS[name](Shapes(shape, 3, "map"))
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, *shape)).shape == (1, 3, *shape[1:])


def test_unknown_names():
    with pytest.raises(SpecError, match=r"no network 'unet\+\+'"):
        MonaiSpace(["unet++"])
    assert [choice.options for choice in MonaiSpace().choices] == [tuple(SMALL)]


@pytest.mark.parametrize("name", ["unet", "attention_unet"])
@pytest.mark.parametrize("side", [128, 64, 32, 16])
def test_inputs_are_padded_to_what_the_steps_downwards_need(name, side):
    network = NETWORKS[name](Shapes((1, side, side), 2, "map"))
    widths = {module.out_channels for module in network.modules() if isinstance(module, torch.nn.Conv2d)} - {1, 2}
    steps = len(widths & {16 * 2**level for level in range(5)}) - 1
    assert steps > 0
    assert tuple(network.factors) == (2**steps, 2**steps)
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 1, side + 3, side - 1)).shape == (1, 2, side + 3, side - 1)
