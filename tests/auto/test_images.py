"""The networks that fit are those that the time lets train."""

from __future__ import annotations

import pytest

from nasplug.auto.images import EPOCHS, fitting


def costing(unit):
    """Seconds that grow with the width, and fall with the square of the stem."""

    def seconds(space):
        ((_, arguments),) = space.items()
        return unit * arguments["widths"][0] / arguments["stems"][0] ** 2

    return seconds


def test_the_widest_networks_of_the_finest_stem_that_fit():
    found = fitting(32, 100.0, 100, costing(0.1))
    # 100 s pay 15 epochs of 6.7 s, which a width of 67 takes.
    assert found.space == {"resnet": {"stems": [1], "widths": [32, 48, 64], "stages": [3, 4], "blocks": [1]}}
    assert found.first == [[1, 64, 3, 1, 0.0], [1, 64, 4, 1, 0.0]]
    assert found.seconds == pytest.approx(6.4)
    assert found.epochs == pytest.approx(100.0 / 6.4)
    assert found.epochs >= EPOCHS


def test_a_coarser_stem_where_not_even_the_smallest_width_fits():
    found = fitting(32, 100.0, 100, costing(1.0))
    assert found.space["resnet"]["stems"] == [2]
    assert found.space["resnet"]["widths"] == [12, 16, 24]


def test_few_batches_are_seen_more_often():
    # 250 steps, 5 an epoch, are 50 epochs of 2 s.
    assert fitting(32, 100.0, 5, costing(0.1)).space["resnet"]["widths"] == [8, 12, 16]
    assert fitting(32, 100.0, 5, costing(0.1)).seconds == pytest.approx(1.6)


@pytest.mark.parametrize(("side", "stem"), [(3, 1), (8, 1), (28, 1), (33, 2), (96, 4), (224, 8), (2000, 32)])
def test_the_first_stage_sees_neither_single_pixels_nor_large_images(side, stem):
    assert fitting(side, 1000.0, 100, lambda space: 1.0).space["resnet"]["stems"] == [stem]


def test_where_nothing_fits_the_smallest_is_taken():
    found = fitting(96, 1.0, 100, lambda space: 50.0)
    assert found.space == {"resnet": {"stems": [8], "widths": [8], "stages": [3, 4], "blocks": [1]}}
    assert (found.seconds, found.epochs) == (50.0, 0.02)
