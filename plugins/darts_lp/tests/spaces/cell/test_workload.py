"""Tests of `nasplug_darts_lp.spaces.cell.workload`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.spaces.cell.workload import cell_workload


def macs(operation, bits=(None, None)):
    """Of the operations of all edges in a small network, without what is around them; by hand below."""
    low = {} if bits[0] is None else {"weight_bits": (bits[0],), "activation_bits": (bits[1],)}
    settings = CellSettings(channels=2, layers=3, nodes=1, first_last_bits=8, **low)
    side = (operation, *(() if bits[0] is None else bits))
    genotype = ("0,1", *side, *side) * 2
    return cell_workload(settings, genotype, (1, 8, 8), 10)


def fixed():
    """Stem, what prepares the inputs of three cells, classifier: 8x8 pixels and 2 channels, 4x4 and 4, 2x2 and 8."""
    stem = 64 * 9 * 1 * 6
    first = 64 * (6 * 2 + 6 * 2)
    second = 64 * (6 * 4 + 2 * 4)
    third = 16 * (2 * 8 + 4 * 8)  # the last cell but one is halved to the size of the last
    return stem + first + second + third + 8 * 10


def test_pools_multiply_nothing():
    assert macs("max_pool_3x3").macs.sum() == fixed()


@pytest.mark.parametrize(("name", "kernel", "times"), [("sep_conv_3x3", 9, 2), ("dil_conv_5x5", 25, 1)])
def test_convolutions_of_the_edges(name, kernel, times):
    edges = 0
    for pixels, channels in ((64, 2), (16, 4), (4, 8)):
        edges += 2 * times * pixels * (kernel * channels + channels * channels)
    assert macs(name).macs.sum() == fixed() + edges


def test_bits_are_those_of_the_edges_and_of_what_is_fixed():
    workload = macs("sep_conv_3x3", (1, 4))
    rows = workload.mask("conv", "fc")
    pairs = list(zip(workload.weight_bits[rows].tolist(), workload.input_bits[rows].tolist(), strict=True))
    assert pairs.count((1, 4)) == 3 * 2 * 4
    # the first input of the third cell takes two convolutions
    assert pairs.count((8, 8)) == len(pairs) - 24 == 1 + 2 + 2 + 3 + 1
