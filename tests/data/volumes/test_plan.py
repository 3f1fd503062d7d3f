from __future__ import annotations

import math

import pytest

from nasplug.contract.errors import SpecError
from nasplug.data.volumes.facts import CaseFacts, Channel, Fingerprint
from nasplug.data.volumes.plan import memory, propose


def facts(*shapes, spacing=(1.0, 1.0, 1.0)):
    channel = Channel("MRI", 0, 1, 2, 1, 1)
    cases = [CaseFacts(str(i), str(i), shape, spacing, "RAS", (9, 9), (0,), (1,)) for i, shape in enumerate(shapes)]
    return Fingerprint("here", ("background", "core"), (channel,), tuple(cases))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("gib", [0.5, 2, 8, 24])
@pytest.mark.parametrize("shape", [(36, 50, 35), (512, 512, 100), (240, 240, 155)])
def test_the_strides_divide_the_patch_which_fits(shape, gib, dimensions):
    plan = propose(facts(shape), dimensions, gib)
    for axis, size in enumerate(plan.patch_size):
        factor = math.prod(stride[axis] for stride in plan.strides)
        assert size % factor == 0
        assert size // factor >= 2
        assert size <= shape[axis]
    assert plan.memory_gib <= gib
    assert plan.batch_size >= 2
    assert memory(plan.patch_size, plan.strides, plan.batch_size, dimensions) == pytest.approx(
        plan.memory_gib, abs=1e-3
    )


def test_small_volumes_are_taken_whole():
    plan = propose(facts((36, 50, 35)), 3)
    assert plan.patch_size == (32, 48, 32)
    assert plan.strides == ((2, 2, 2),) * 3
    assert plan.to_plain()["depth"] == 3


def test_more_memory_means_more():
    small, large = (propose(facts((240, 240, 155)), 3, gib) for gib in (2, 16))
    assert math.prod(large.patch_size) * large.batch_size > math.prod(small.patch_size) * small.batch_size


def test_thick_slices_are_reduced_last():
    plan = propose(facts((128, 128, 16), spacing=(1, 1, 5)), 3)
    assert [stride[2] for stride in plan.strides][:2] == [1, 1]
    flat = propose(facts((16, 128, 128), spacing=(5, 1, 1)), 2)  # slices lie across the thick axis, here the first
    assert flat.patch_size == (128, 128)


def test_the_patch_is_not_larger_than_the_largest_case():
    plan = propose(facts((40, 40, 40), (40, 40, 20), (40, 40, 20)), 3)
    assert plan.patch_size[2] <= 20


def test_a_memory_by_hand():
    # one level of 32 channels: 8 x 8 pixels, 16 maps, batch 2; weights of a convolution, 4 times; 0.18 GiB of buffers
    floats = 2 * 8 * 8 * 32 * 16 + 4 * 9 * 32 * 32
    assert memory((8, 8), (), 2, 2) == pytest.approx(4 * floats / 2**30 + 0.18)


@pytest.mark.parametrize("size", [(32, 32), (16, 16, 16)])
def test_weights_are_those_of_the_network_that_is_planned(size):
    from monai.networks.nets import DynUNet

    dimensions = len(size)
    strides = [[2] * dimensions] * 2
    network = DynUNet(dimensions, 1, 2, [[3] * dimensions] * 3, [[1] * dimensions, *strides], strides, [32, 64, 128])
    weights = sum(each.numel() for each in network.parameters())
    floats = math.prod(size) * 16 * (32 + 64 / 2**dimensions + 128 / 4**dimensions)
    planned = (memory(size, strides, 1, dimensions) - 0.18) * 2**30 / 4 - floats
    assert planned / 4 == pytest.approx(weights, rel=0.02)


def test_what_cannot_be():
    with pytest.raises(SpecError, match="the images are flat"):
        propose(facts((64, 64, 1)), 3)
    with pytest.raises(SpecError, match="no patch fits into"):
        propose(facts((64, 64, 64)), 3, 1e-4)
    with pytest.raises(SpecError, match="the memory is -1 GiB"):
        propose(facts((64, 64, 64)), 3, -1)
