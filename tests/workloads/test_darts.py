from __future__ import annotations

import pytest

from nasplug.nn.darts import FactorizedReduce
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.darts import concat, factorized_reduce
from nasplug.workloads.extract import extract


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("outputs", [1, 5])
def test_the_rows_are_those_of_the_module(size, outputs):
    builder = WorkloadBuilder((3, size, size))
    factorized_reduce(builder, INPUT, outputs)
    assert not builder.build().differences(extract(FactorizedReduce(3, outputs), (3, size, size)))


def test_a_concatenation_adds_up_the_channels():
    builder = WorkloadBuilder((3, 4, 4))
    first, second = (builder.conv(INPUT, channels, 1) for channels in (2, 5))
    assert builder.shape(concat(builder, [first, second]))[1] == 7
