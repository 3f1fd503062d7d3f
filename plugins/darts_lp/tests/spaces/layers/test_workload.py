"""Tests of `nasplug_darts_lp.spaces.layers.workload`."""

from __future__ import annotations

from nasplug_darts_lp.spaces.layers.layouts import layout
from nasplug_darts_lp.spaces.layers.settings import LayerSettings
from nasplug_darts_lp.spaces.layers.workload import layers_workload

SMALL = LayerSettings(layout("cifar", 0.25, 1), weight_bits=(1, 4), activation_bits=(2, 8))


def test_multiplications_by_hand():
    """8x8 pixels; 4, 8 and 16 channels; the first block is left out, the others halve the image."""
    workload = layers_workload(SMALL, ("skip", 3, 1, 2, "conv", 5, 4, 8, "conv", 3, 1, 2), (3, 8, 8), 5)
    stem = 64 * 9 * 3 * 4
    second = 16 * (25 * 4 * 8 + 4 * 8)  # and the 1x1 convolution of the shortcut
    third = 4 * (9 * 8 * 16 + 8 * 16)
    assert workload.macs.sum() == stem + second + third + 16 * 5


def test_bits_are_those_of_the_blocks_and_of_what_is_fixed():
    workload = layers_workload(SMALL, ("skip", 3, 1, 2, "conv", 5, 4, 8, "conv", 3, 1, 2), (3, 8, 8), 5)
    rows = workload.mask("conv", "fc")
    pairs = sorted(zip(workload.weight_bits[rows].tolist(), workload.input_bits[rows].tolist(), strict=True))
    assert pairs == [(1, 2), (4, 8), (8, 8), (8, 8), (8, 8), (8, 8)]


def test_imagenet_has_a_pool_behind_the_stem():
    settings = LayerSettings(layout("imagenet", 0.0625, 1), weight_bits=(), activation_bits=())
    genotype = ("conv", 3, None, None) * 4
    assert layers_workload(settings, genotype, (3, 64, 64), 5).mask("maxpool").sum() == 1
