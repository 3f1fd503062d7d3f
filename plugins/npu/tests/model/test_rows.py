"""What layers read and write, counted by hand."""

from __future__ import annotations

import pytest
from nasplug_npu.model.rows import Rows, pack

from nasplug.workloads.builder import INPUT, WorkloadBuilder


def test_sums_and_concatenations_read_what_their_sources_wrote():
    network = WorkloadBuilder((4, 6, 6))
    one, two = network.conv(INPUT, 8, 1), network.conv(INPUT, 8, 3)
    total = network.add([one, two])
    beside = network.concat([total, one, INPUT])
    network.pool("maxpool", beside, 2)
    rows = Rows(pack(network.build()))
    assert rows.reads[:, 0].tolist() == [4 * 36, 4 * 36, 2 * 8 * 36, (8 + 8 + 4) * 36, 20 * 36]
    assert rows.outputs[:, 0].tolist() == [8 * 36, 8 * 36, 8 * 36, 20 * 36, 20 * 9]


def test_only_a_single_reader_right_behind_its_writer_is_chained():
    network = WorkloadBuilder((4, 6, 6))
    one = network.conv(INPUT, 4, 1)
    two = network.conv(one, 4, 1)  # the only reader of `one`
    network.conv(two, 4, 1)
    network.add([two, 2])  # the second reader of `two`
    rows = Rows(pack(network.build()))
    assert rows.from_previous[:, 0].tolist() == [0, 1, 0, 0]
    assert rows.to_next[:, 0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "macs", "weights", "second", "units", "reduction"),
    [
        (lambda n: n.conv(INPUT, 12, 3), 12 * 8 * 9 * 36, 12 * 8 * 9, 0, 1, 8),
        (lambda n: n.conv(INPUT, 12, 3, groups=4), 12 * 2 * 9 * 36, 12 * 2 * 9, 0, 4, 2),
        (lambda n: n.conv(INPUT, 8, 3, groups=8), 8 * 9 * 36, 8 * 9, 0, 8, 1),
        (
            lambda n: n.row("matmul", [INPUT, INPUT], n=2, ci=8, hi=6, wi=1, co=5, ho=6, wo=1),
            *(2 * 6 * 5 * 8, 0, 2 * 8 * 5, 2, 8),
        ),
        (lambda n: n.pool("avgpool", INPUT, 2), 0, 0, 0, 8, 8),
    ],
)
def test_counts_of_one_layer(make, macs, weights, second, units, reduction):
    network = WorkloadBuilder((8, 6, 6))
    make(network)
    rows = Rows(pack(network.build()))
    found = [part.item() for part in (rows.macs, rows.weights, rows.second, rows.units, rows.reduction)]
    assert found == [macs, weights, second, units, reduction]
