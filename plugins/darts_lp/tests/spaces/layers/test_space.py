"""Tests of `nasplug_darts_lp.spaces.layers.space`."""

from __future__ import annotations

from nasplug_darts_lp.spaces.layers.space import LayersSpace


def test_what_a_block_left_out_would_have_been_makes_no_difference():
    space = LayersSpace(width=0.25, blocks=1)
    first = space.architecture(("skip", 3, 1, 1, "conv", 3, 1, 1, "conv", 3, 1, 1))
    other = space.architecture(("skip", 5, 8, 2, "conv", 3, 1, 1, "conv", 3, 1, 1))
    assert first == other
    assert first != space.architecture(("conv", 3, 1, 1, "conv", 3, 1, 1, "conv", 3, 1, 1))
