"""Tests of `nasplug_darts_lp.spaces.cell.edges`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.spaces.cell.edges import has_convolution, node_inputs

from nasplug.spaces.cells import OPERATIONS


def test_which_operations_compute_with_bits():
    assert [name for name in OPERATIONS if has_convolution(name)] == [
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ]


@pytest.mark.parametrize(("node", "count"), [(0, 1), (1, 3), (2, 6), (3, 10)])
def test_a_node_has_pairs_of_earlier_outputs(node, count):
    pairs = node_inputs(node)
    assert len(set(pairs)) == len(pairs) == count
    assert all(0 <= first < second < node + 2 for first, second in pairs)
