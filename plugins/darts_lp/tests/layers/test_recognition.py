"""Tests of `nasplug_darts_lp.layers.recognition`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, fold
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_darts_lp.layers.quantised import QuantLinear
from nasplug_darts_lp.layers.recognition import recognise
from torch import nn

from nasplug.contract.errors import TaskError


class Same(nn.Conv2d):
    """Pads as TensorFlow does."""

    def forward(self, x):
        sides = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(x, sides))


@pytest.mark.parametrize(
    ("kernel", "stride", "kind"), [(3, 2, "same"), (2, 1, "same"), (5, 3, "same"), (1, 1, "plain")]
)
def test_layers_that_pad_as_tensorflow_does(kernel, stride, kind):
    torch.manual_seed(0)
    layer = Same(3, 4, kernel, stride)
    assert recognise(layer) == kind
    quantised = quantise(nn.Sequential(layer, nn.ReLU(), nn.Conv2d(4, 2, 1)), activations="fixed")
    images = torch.randn(2, 3, 11, 8)
    assert quantised(images).shape[2:] == layer(images).shape[2:]
    first = quantised[0].eval()
    torch.testing.assert_close(first(images), layer(images), atol=0.1, rtol=0.1)
    assert agreement(quantised, fold(quantised.eval(), (3, 11, 8)), images).exact


def test_derived_layers_that_change_nothing_are_quantised():
    class Named(nn.Linear):
        pass

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    assert isinstance(quantise(Named(3, 2)), QuantLinear)
    with pytest.raises(TaskError, match="something else"):
        quantise(Doubled(3, 2))
