"""Tests of `nasplug.workloads.convolutions`, counted by hand."""

from __future__ import annotations

import pytest

from nasplug.workloads.convolutions import READ, forward, image, pool, transposed


def test_three_dimensions_keep_products_weights_and_maps():
    found = forward((1, 6, 5, 7, 9), (4, 3, 3, 1, 2), (1, 4, 3, 7, 8), groups=2)
    assert found["n"] * found["co"] * found["ho"] * found["wo"] == 4 * 3 * 7 * 8
    assert found["ci"] * found["hi"] * found["wi"] == 6 * 5 * 7 * 9
    assert found["co"] * found["kh"] * found["kw"] * found["ci"] // found["groups"] == 4 * 3 * 3 * 1 * 2


def test_one_dimension_is_the_width():
    found = forward((2, 3, 9), (4, 3, 5), (2, 4, 3), stride=(2,), padding=(1,), dilation=(1,))
    assert (found["hi"], found["wi"], found["ho"], found["wo"], found["kh"], found["kw"]) == (1, 9, 1, 3, 1, 5)
    assert (found["sh"], found["sw"], found["ph"], found["pw"]) == (1, 2, 0, 1)


@pytest.mark.parametrize(("kernel", "out", "overlaps"), [(2, 8, False), (3, 9, True)])
def test_a_transposed_one_multiplies_at_inputs_and_adds_where_windows_overlap(kernel, out, overlaps):
    product, spread = transposed((1, 4, 4, 4), (4, 6, kernel, kernel), (1, 6, out, out))
    assert product["co"] == 6 * kernel**2
    assert (product["ho"], product["wo"]) == (4, 4)
    assert (spread is not None) == overlaps
    if spread is not None:
        assert spread["ci"] * spread["hi"] * spread["wi"] == 6 * 9 * 16
        assert spread["co"] * spread["ho"] * spread["wo"] == 6 * 81


def test_windows_of_three_dimensions_and_one_number_for_all():
    found = pool((2, 6, 8, 8, 8), (2,), (2, 6, 4, 4, 4), stride=(2,), padding=(1,))
    assert (found["kh"], found["kw"], found["sh"], found["sw"], found["ph"], found["pw"]) == (4, 2, 2, 2, 1, 1)
    assert (found["n"], found["ci"], found["hi"], found["wi"]) == (2, 6, 64, 8)
    assert (found["co"], found["ho"], found["wo"]) == (6, 16, 4)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((2, 3, 4, 5, 6), (2, 3, 20, 6)),
        ((2, 3, 4, 5), (2, 3, 4, 5)),
        ((2, 7, 3), (2, 3, 7, 1)),
        ((2, 3), (2, 3, 1, 1)),
        ((5,), (1, 5, 1, 1)),
        ((), (1, 1, 1, 1)),
    ],
)
def test_tensors_of_any_rank_are_images(shape, sizes):
    assert tuple(image(shape, READ)[name] for name in ("n", *READ)) == sizes
