from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.nn.darts import FactorizedReduce, conv2d, separable


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("outputs", [1, 4, 5])
def test_a_reduction_halves_any_size_and_gives_all_channels(size, outputs):
    module = FactorizedReduce(3, outputs)
    half = (size + 1) // 2
    assert module(torch.randn(2, 3, size, size)).shape == (2, outputs, half, half)
    assert (module.moved is None) == (outputs == 1)


def test_the_second_half_sees_the_image_moved_by_a_pixel():
    module = FactorizedReduce(1, 2).eval()
    nn.init.ones_(module.straight.weight)
    nn.init.ones_(module.moved.weight)
    x = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    found = module(x) * (1 + module.norm.eps) ** 0.5
    torch.testing.assert_close(found[0, 0], torch.tensor([[1.0, 3.0], [7.0, 9.0]]))
    torch.testing.assert_close(found[0, 1], torch.tensor([[5.0, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (5, 1, 2)])
def test_a_separable_convolution_keeps_the_size_at_stride_1(kernel, stride, dilation):
    depthwise, pointwise, norm = separable(4, kernel, stride, dilation)
    assert (depthwise.groups, pointwise.kernel_size, norm.num_features) == (4, (1, 1), 4)
    assert depthwise.bias is None
    assert nn.Sequential(depthwise, pointwise, norm)(torch.randn(2, 4, 9, 9)).shape[2] == -(-9 // stride)


def test_every_convolution_comes_from_the_given_function():
    made = []

    def conv(*arguments, **more):
        made.append((*arguments, *more.items()))
        return conv2d(*arguments, **more)

    separable(4, 3, 2, 2, conv=conv)
    FactorizedReduce(3, 5, conv)
    assert made == [(4, 4, 3, 2, ("dilation", 2), ("groups", 4)), (4, 4, 1), (3, 3, 1, 2), (3, 2, 1, 2)]
