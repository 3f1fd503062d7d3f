"""Tests of `nasplug_darts_lp.folding.check`."""

from __future__ import annotations

from nasplug_darts_lp.folding import agreement, fold
from nasplug_darts_lp.folding.modules import IntegerConv2d, Thresholds


def test_a_fault_would_be_seen(images, parts, plain, ready):
    """The comparison finds a single threshold that is off by one, and weights that are off by one."""
    network = ready(plain(), weight_bits=2, activation_bits=2, first_last_bits=2)
    folded = fold(network, (3, 11, 11))
    comparison = parts(folded, Thresholds)[1]
    comparison.thresholds += 1
    assert agreement(network, folded, images()).differing > 0
    comparison.thresholds -= 1
    product = parts(folded, IntegerConv2d)[1]
    product.weight[:, 0, 1, 1] ^= 1
    assert agreement(network, folded, images()).differing > 0
