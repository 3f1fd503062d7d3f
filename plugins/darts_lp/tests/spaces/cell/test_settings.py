"""Tests of `nasplug_darts_lp.spaces.cell.settings`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.spaces.cell.edges import Edge
from nasplug_darts_lp.spaces.cell.settings import CellSettings

from nasplug.contract.errors import SpecError
from nasplug.spaces.cells import Frame

LOW = CellSettings(channels=4, layers=3, nodes=1, weight_bits=(1, 4), activation_bits=(2, 8))


def test_reductions_halve_the_image_and_double_the_channels():
    settings = CellSettings(channels=4, layers=3, nodes=2)
    assert settings.frames() == [
        Frame(12, 12, 4, False, False),
        Frame(12, 8, 8, True, False),
        Frame(8, 16, 16, True, True),
    ]
    assert [frame.cell for frame in settings.frames()] == ["normal", "reduction", "reduction"]


def test_what_is_not_a_choice_is_quantised_in_low_precision_only():
    assert CellSettings(first_last_bits=6).fixed_bits is None
    assert LOW.fixed_bits == 8
    assert CellSettings(weight_bits=(2,), activation_bits=(2,), activations="pact").fixed == Precision(
        8, 8, "pact", "uniform"
    )


def test_edges_are_read_off_the_genotype_and_written_back():
    genotype = ("0,1", "sep_conv_3x3", 4, 8, "skip_connect", 1, 2, "0,1", "max_pool_3x3", 1, 2, "dil_conv_5x5", 1, 8)
    normal, reduction = (LOW.cell(genotype, name) for name in ("normal", "reduction"))
    assert normal == ((Edge(0, "sep_conv_3x3", 4, 8), Edge(1, "skip_connect")),)
    assert reduction == ((Edge(0, "max_pool_3x3"), Edge(1, "dil_conv_5x5", 1, 8)),)
    assert LOW.genotype({"normal": normal, "reduction": reduction}) == genotype


@pytest.mark.parametrize("short", [{"channels": 0}, {"layers": 2}, {"nodes": 0}])
def test_the_smallest_network(short):
    CellSettings(channels=1, layers=3, nodes=1)
    with pytest.raises(SpecError, match="make no network"):
        CellSettings(**short)


def test_records_cannot_be_changed():
    with pytest.raises(AttributeError):
        LOW.channels = 5
