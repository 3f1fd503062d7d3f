"""Cuts of layers: they cover everything once, and fit the buffers."""

from __future__ import annotations

import dataclasses

import pytest
from nasplug_npu.machine.tiles import Sizes, cut

from nasplug.contract.errors import SpecError

SIZES = Sizes(
    height=13,
    chunks=10,
    grain=2,
    row_words=20,
    input_height=15,
    stride=1,
    kernel=3,
    out_words=8,
    weight_rows=9,
    record_rows=1,
)


@pytest.mark.parametrize(("bands", "groups"), [(1, 1), (2, 1), (3, 2), (50, 50)])
def test_every_row_and_chunk_is_in_one_tile(bands, groups, build):
    found = cut(SIZES, build(), bands, groups, "layer")
    places = [(c, r) for group, band in found.tiles() for c in range(*group) for r in range(*band)]
    assert sorted(places) == [(c, r) for c in range(10) for r in range(13)]
    assert all(group[0] % 2 == 0 for group in found.groups)
    assert len(found.bands) == min(bands, 13)


def test_what_does_not_fit_is_cut_more_often(build):
    machine = build()
    long = dataclasses.replace(SIZES, weight_rows=machine.weight_rows // 4)
    found = cut(long, machine, 1, 1, "layer")
    assert not found.weights_stay
    assert len(found.groups) == 5
    with pytest.raises(SpecError, match="layer does not fit the buffers"):
        cut(dataclasses.replace(SIZES, weight_rows=machine.weight_rows), machine, 1, 1, "layer")


def test_the_tensor_that_is_larger_is_loaded_once(build):
    machine = build()
    wide = dataclasses.replace(SIZES, row_words=machine.input_words // 8, weight_rows=1)
    found = cut(wide, machine, 1, 2, "layer")
    assert (found.inputs_stay, found.weights_stay, found.by_group) == (False, True, False)
