"""Tests of `nasplug_darts_lp.spaces.checks`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.spaces.checks import check_bits, check_image, check_kernels

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("kernels", [(), (2,), (3, 4), (0,), (-1,), (True,), (3.0,)])
def test_kernels_without_a_centre_are_refused(kernels):
    with pytest.raises(SpecError, match="odd sizes"):
        check_kernels(kernels, "here")


@pytest.mark.parametrize("width", [0, 9, True, 2.0, "4"])
@pytest.mark.parametrize("position", range(3))
def test_bits_out_of_range_are_refused_wherever_they_stand(width, position):
    lists = [(4,), (4,), 8]
    lists[position] = (4, width) if position < 2 else width
    with pytest.raises(SpecError, match="1 to 8"):
        check_bits(*lists, "here")


def test_the_ends_of_the_range_are_allowed():
    check_kernels((1, 3), "here")
    check_bits((1, 8), (1, 8), 1, "here")
    check_bits((), (), None, "here")
    check_image((1, 1, 1), "here")


@pytest.mark.parametrize("lists", [((4,), ()), ((), (4,))])
def test_bits_of_one_side_alone_are_refused(lists):
    with pytest.raises(SpecError, match="only one of weight_bits and activation_bits"):
        check_bits(*lists, 8, "here")


@pytest.mark.parametrize("shape", [(), (12,), (3, 4), (1, 2, 3, 4)])
def test_inputs_that_are_not_images_are_refused(shape):
    with pytest.raises(SpecError, match="expected an image"):
        check_image(shape, "here")
