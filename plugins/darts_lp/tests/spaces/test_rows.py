"""Tests of `nasplug_darts_lp.spaces.rows`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.spaces.rows import bits, classify

from nasplug.workloads.builder import INPUT, WorkloadBuilder


@pytest.mark.parametrize("pair", [(None, None), (4, None), (None, 4)])
def test_floating_point_has_no_columns_of_its_own(pair):
    assert bits(*pair) == {}


def test_both_bits_are_columns():
    assert bits(2, 8) == {"weight_bits": 2, "input_bits": 8}


def test_the_classifier_sees_the_mean_over_the_image():
    builder = WorkloadBuilder((3, 8, 8))
    classify(builder, builder.conv(INPUT, 6, 3), 10, 8)
    workload = builder.build()
    (row,) = workload.mask("fc").nonzero()[0]
    assert workload.macs[row] == 6 * 10
    assert (workload.weight_bits[row], workload.input_bits[row]) == (8, 8)
