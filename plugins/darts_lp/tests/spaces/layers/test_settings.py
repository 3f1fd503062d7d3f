"""Tests of `nasplug_darts_lp.spaces.layers.settings`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.spaces.layers.layouts import layout
from nasplug_darts_lp.spaces.layers.settings import LayerSettings

from nasplug.contract.errors import SpecError

SMALL = LayerSettings(layout("cifar", 0.25, 1), weight_bits=(1, 4), activation_bits=(2, 8))


def test_blocks_that_change_the_shape_stay():
    assert [SMALL.operations_of(shape) for shape in SMALL.shapes] == [("conv", "skip"), ("conv",), ("conv",)]


def test_choices_come_in_the_order_of_the_genotype():
    choices = SMALL.choices()
    assert [choice.name for choice in choices[:4]] == [
        "block00_op",
        "block00_kernel",
        "block00_weight_bits",
        "block00_activation_bits",
    ]
    assert [choice.options for choice in choices[:4]] == [("conv", "skip"), (3, 5), (1, 4), (2, 8)]
    floating = LayerSettings(SMALL.layout, weight_bits=(), activation_bits=())
    assert floating.choices()[2].options == (None,)
    assert floating.fixed_bits is None


def test_blocks_are_read_off_the_genotype():
    genotype = ("skip", 3, 1, 2, "conv", 5, 4, 8, "conv", 3, 1, 2)
    first, second, _ = SMALL.blocks(genotype)
    assert first.operation == "skip"
    assert (second.shape.inputs, second.shape.outputs, second.shape.stride) == (4, 8, 2)
    assert (second.kernel, second.weight_bits, second.activation_bits) == (5, 4, 8)


@pytest.mark.parametrize("operations", [(), ("skip",), ("conv", "conv"), ("conv", "pool")])
def test_operations_without_a_convolution_are_refused(operations):
    with pytest.raises(SpecError, match="operations"):
        LayerSettings(SMALL.layout, operations=operations)
