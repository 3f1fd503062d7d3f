"""Units of the machine, and what it cannot be built as."""

from __future__ import annotations

import pytest
from nasplug_npu.machine.parameters import parameters
from nasplug_npu.machine.units import NAMES, unit

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("name", NAMES)
def test_units_can_be_built(name):
    build = parameters(unit(name))
    assert build.rows * build.columns * build.positions == unit(name).macs
    assert build.weight_rows * build.row_words * 4 == unit(name).weight_kb * 1024


def test_the_rows_of_weights_feed_every_multiplier():
    assert parameters(unit("dense")).row_words == 8 * 4 // 4
    assert parameters(unit("narrow")).row_words == 2 * 2 * 4 // 4
    assert parameters(unit("sparse")).row_words == 1


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dense", {"dataflow": "systolic_ws"}, "no dataflow of 'systolic_ws'"),
        ("sparse", {"weight_kb": 32}, "no weight_kb of 32"),
        ("dense", {"shapes": "pow2"}, "no shapes of 'pow2'"),
        ("dense", {"act_bytes_per_cycle": 4}, "no act_bytes_per_cycle of 4"),
        ("dense", {"sparsity": "weight_skip"}, "no sparsity of 'weight_skip'"),
        ("dense", {"sparsity": "act_skip"}, "no sparsity of 'act_skip'"),
        ("narrow", {"precision": "symmetric"}, "no precision of 'symmetric'"),
        ("dense", {"ports": "shared"}, "no ports of 'shared'"),
        ("dense", {"weight_port_bits": 128}, "no weight_port_bits of 128"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(name, changes, message):
    with pytest.raises(SpecError, match=message):
        parameters(unit(name, **changes))


def test_unknown_units_are_refused():
    with pytest.raises(SpecError, match="no unit 'dens'"):
        unit("dens")
